"""Speech recognition behind a front-end that takes the noise out."""

import torch

from speechbrain_ext.inference.packet_loss_asr import PacketLossASR
from speechbrain_ext.inference.perceptual_enhancer import PerceptualEnhancer


class RobustASR(PacketLossASR):
    """A recogniser that was adapted to what an enhancer makes of noisy speech.

    Stage 3 of paper 1 (Plantinga, Bagchi & Fosler-Lussier, section V-C). Load
    it with ``RobustASR.from_hparams(source=FOLDER_OR_HUB_ID)``. It is a
    :class:`PacketLossASR` that takes silence for silence: packets are lost only
    where a lost-packet file says so.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them. The
        front-end is a
        :class:`speechbrain_ext.frontends.spectral.SpectralFrontEnd`.

    Example
    -------
    >>> from speechbrain_ext.backends.whisper import FrozenWhisper
    >>> from speechbrain_ext.features.log_magnitude import LogMagnitude
    >>> from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
    >>> from speechbrain_ext.frontends.spectral import SpectralFrontEnd
    >>> from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
    >>> asr = RobustASR(
    ...     modules={
    ...         "front_end": SpectralFrontEnd(
    ...             LogMagnitude(), WideResNetEnhancer([8, 8], dense=[16])
    ...         ),
    ...         "features": WhisperLogMel(),
    ...         "back_end": FrozenWhisper("openai/whisper-tiny.en"),
    ...     },
    ...     hparams={"packet_seconds": 0.02, "zero_lost_frames": False},
    ... )
    >>> asr.transcribe_batch(torch.zeros(1, 16000), torch.ones(1))
    ['']
    """

    def enhancer(self):
        """Give the front-end alone, to listen to what the recogniser hears.

        Returns
        -------
        PerceptualEnhancer or None
            None where the recogniser hears the noise.
        """
        front_end = self.mods.front_end
        if front_end.bypass:
            return None
        return PerceptualEnhancer(
            modules={
                "features": front_end.features,
                "front_end": front_end.enhancer,
            },
            hparams={},
            run_opts={"device": str(self.device)},
        )

    def read(self, path, lost=None):
        """Read a file and say which of its samples were lost.

        Arguments
        ---------
        path : str or Path
            The audio file.
        lost : str or Path or torch.Tensor, optional
            A lost-packet file, or bool [packets]; nothing was lost where there
            is none.

        Returns
        -------
        signal : torch.Tensor
            [time], 16 kHz, zero where it was lost.
        lost : torch.Tensor
            [time], bool.
        """
        if lost is None:
            lost = torch.zeros(1, dtype=torch.bool)
        return super().read(path, lost)

    def transcribe_batch(self, wavs, lengths, lost=None, front_end=True):
        """Transcribe a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, packets]; nothing was lost where there is none.
        front_end : bool
            False is the recogniser without the enhancer.

        Returns
        -------
        list of str
            One text an utterance.
        """
        if lost is None:
            lost = torch.zeros(len(wavs), 1, dtype=torch.bool)
        return super().transcribe_batch(wavs, lengths, lost, front_end)
