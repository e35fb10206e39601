"""Speech enhancement with a model that was trained with perceptual loss."""

import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.inference.chunks import process_in_chunks
from speechbrain_ext.inference.front_end import FrontEndInterface


class PerceptualEnhancer(FrontEndInterface):
    """A front-end that takes the noise out of speech.

    The model of paper 1 (Plantinga, Bagchi & Fosler-Lussier). Load it with
    ``PerceptualEnhancer.from_hparams(source=FOLDER_OR_HUB_ID)``. Audio of any
    length is enhanced in chunks that overlap and are faded into each other, so
    that memory is bounded.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them.

    Example
    -------
    >>> from speechbrain_ext.features.log_magnitude import LogMagnitude
    >>> from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
    >>> enhancer = PerceptualEnhancer(
    ...     modules={
    ...         "features": LogMagnitude(),
    ...         "front_end": WideResNetEnhancer([8, 8], dense=[16]),
    ...     },
    ...     hparams={},
    ... )
    >>> enhancer.enhance_signal(torch.zeros(16000)).shape
    torch.Size([16000])
    """

    #: Of a chunk, and of what it shares with the next one, in seconds. What a
    #: frame depends on reaches a third of a second, but for the means of
    #: squeeze and excitation, which want to hear some speech.
    chunk_seconds = 12.0
    overlap_seconds = 1.0

    @torch.no_grad()
    def enhance_batch(self, wavs, lengths):
        """Enhance utterances at once, each as a whole.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time], on the model's device; zero past each one's end.
        """
        wavs, lengths = wavs.to(self.device), lengths.to(self.device)
        features = self.mods.features
        feats = features(wavs, lengths)
        frame_lengths = features.relative_frames(
            lengths, wavs.shape[1], feats.shape[1]
        )
        repaired = self.mods.front_end(feats, frame_lengths)
        return features.resynthesise(repaired, wavs, lengths)

    def enhance_signals(self, signals):
        """Enhance utterances of different lengths at once.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of torch.Tensor
            [time] each, on the CPU; long ones are enhanced in chunks.
        """
        longest = max(len(signal) for signal in signals)
        if longest > self.chunk_seconds * SAMPLE_RATE:
            return [self.enhance_signal(signal) for signal in signals]
        lengths = torch.tensor([len(signal) for signal in signals]) / longest
        enhanced = self.enhance_batch(pad_sequence(signals, True), lengths)
        return [
            one[: len(signal)].cpu() for one, signal in zip(enhanced, signals)
        ]

    def enhance_signal(self, signal):
        """Enhance audio of any length.

        Arguments
        ---------
        signal : torch.Tensor
            [time], 16 kHz.

        Returns
        -------
        torch.Tensor
            [time], on the CPU.
        """

        def enhance(start, end):
            chunk = signal[None, start:end]
            return self.enhance_batch(chunk, torch.ones(1))[0].cpu()

        return process_in_chunks(
            enhance,
            len(signal),
            round(self.chunk_seconds * SAMPLE_RATE),
            round(self.overlap_seconds * SAMPLE_RATE),
        )

    def enhance_file(self, path, output=None):
        """Enhance an audio file.

        Arguments
        ---------
        path : str or Path
            Audio of any rate, channel count and length.
        output : str or Path, optional
            A .wav or .flac file to write, at 16 kHz.

        Returns
        -------
        torch.Tensor
            [time], 16 kHz.

        Raises
        ------
        UserError
            When the file is not audio, or the output cannot be written.
        """
        enhanced = self.enhance_signal(load_audio(path))
        if output is not None:
            save_audio(output, enhanced)
        return enhanced

    def forward(self, wavs, lengths):
        """Enhance a batch; see :meth:`enhance_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        return self.enhance_batch(wavs, lengths)
