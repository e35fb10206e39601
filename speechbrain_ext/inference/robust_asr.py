"""Speech recognition behind a front-end that takes the noise out."""

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
    >>> import torch
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

    silence_is_lost = False

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
