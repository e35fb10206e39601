"""What interfaces that take the noise out of speech have in common."""

import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding
from speechbrain_ext.inference.chunks import process_in_chunks
from speechbrain_ext.inference.front_end import FrontEndInterface
from speechbrain_ext.inference.observation import (
    add_observation,
    check_observation,
)


class SpeechEnhancer(FrontEndInterface):
    """Enhances batches, signals of any length, and files.

    A child says how utterances are enhanced as a whole
    (:meth:`enhance_whole`). Long audio is enhanced in chunks that overlap and
    are faded into each other, so that memory is bounded. ``observation`` is
    the share of the noisy input in the output; it changes nothing in the
    network, so that each use of the output can have its own.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them.

    Example
    -------
    >>> class Halver(SpeechEnhancer):
    ...     MODULES_NEEDED = []
    ...
    ...     def enhance_whole(self, wavs, lengths):
    ...         return wavs / 2
    >>> halver = Halver(modules={}, hparams={})
    >>> halver.enhance_signal(torch.ones(2), observation=0.5)
    tensor([0.7500, 0.7500])
    """

    #: Of a chunk, and of what it shares with the next one, in seconds.
    chunk_seconds = 12.0
    overlap_seconds = 1.0

    def enhance_whole(self, wavs, lengths):
        """Enhance utterances at once, each as a whole, without post-processing.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz, on the model's device.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        raise NotImplementedError

    @torch.no_grad()
    def enhance_batch(self, wavs, lengths, observation=0.0):
        """Enhance utterances at once, each as a whole.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        observation : float
            The input's share in the output, 0 to 1.

        Returns
        -------
        torch.Tensor
            [batch, time], on the model's device; zero past each one's end.

        Raises
        ------
        UserError
            When the ratio is not in [0, 1].
        """
        check_observation(observation)
        wavs, lengths = wavs.to(self.device), lengths.to(self.device)
        enhanced = self.enhance_whole(wavs, lengths)
        return mask_padding(
            add_observation(enhanced, wavs, observation), lengths
        )

    def enhance_signals(self, signals, observation=0.0):
        """Enhance utterances of different lengths at once.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.
        observation : float
            The input's share in the output, 0 to 1.

        Returns
        -------
        list of torch.Tensor
            [time] each, on the CPU; long ones are enhanced in chunks.
        """
        longest = max(len(signal) for signal in signals)
        if longest > self.chunk_seconds * SAMPLE_RATE:
            return [
                self.enhance_signal(signal, observation) for signal in signals
            ]
        lengths = torch.tensor([len(signal) for signal in signals]) / longest
        enhanced = self.enhance_batch(
            pad_sequence(signals, True), lengths, observation
        )
        return [
            one[: len(signal)].cpu() for one, signal in zip(enhanced, signals)
        ]

    def enhance_signal(self, signal, observation=0.0):
        """Enhance audio of any length.

        Arguments
        ---------
        signal : torch.Tensor
            [time], 16 kHz.
        observation : float
            The input's share in the output, 0 to 1.

        Returns
        -------
        torch.Tensor
            [time], on the CPU.

        Raises
        ------
        UserError
            For a signal without samples, or a ratio that is not in [0, 1].
        """
        if not len(signal):
            raise UserError("signal: holds no samples; expected audio")

        def enhance(start, end):
            """Enhance a chunk."""
            chunk = signal[None, start:end]
            return self.enhance_batch(chunk, torch.ones(1), observation)[
                0
            ].cpu()

        return process_in_chunks(
            enhance,
            len(signal),
            round(self.chunk_seconds * SAMPLE_RATE),
            round(self.overlap_seconds * SAMPLE_RATE),
        )

    def enhance_file(self, path, output=None, observation=0.0):
        """Enhance an audio file.

        Arguments
        ---------
        path : str or Path
            Audio of any rate, channel count and length.
        output : str or Path, optional
            A .wav or .flac file to write, at 16 kHz.
        observation : float
            The input's share in the output, 0 to 1: recognisers that know
            noise but no enhancer want some (0.1 in paper 3), listeners none.

        Returns
        -------
        torch.Tensor
            [time], 16 kHz.

        Raises
        ------
        UserError
            When the file is not audio, the ratio is not in [0, 1], or the
            output cannot be written.
        """
        enhanced = self.enhance_signal(load_audio(path), observation)
        if output is not None:
            save_audio(output, enhanced)
        return enhanced

    def forward(self, wavs, lengths, observation=0.0):
        """Enhance a batch; see :meth:`enhance_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        observation : float
            The input's share in the output, 0 to 1.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        return self.enhance_batch(wavs, lengths, observation)
