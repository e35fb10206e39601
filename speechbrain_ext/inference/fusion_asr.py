"""Speech recognition behind the fusion of two enhanced spectrograms."""

import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding
from speechbrain_ext.inference.chunks import process_in_chunks
from speechbrain_ext.inference.front_end import FrontEndInterface
from speechbrain_ext.inference.silence import (
    split_at_pauses,
    transcribe_windows,
)


class FusionASR(FrontEndInterface):
    """Mapping, masking, the fusion of both, and a speech transformer.

    The model of paper 4 (Shi et al., 2021). Load it with
    ``FusionASR.from_hparams(source=FOLDER_OR_HUB_ID)``. ``output`` says which
    spectrogram the recogniser is given, and which a waveform is made of, with
    the noisy phases: ``"fusion"``, ``"mapping"``, ``"masking"`` or
    ``"noisy"``; the one that the recogniser was trained with where none is
    named. A recogniser without a front-end has ``"noisy"`` only.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them;
        ``beam_size`` among the hyperparameters is the search's, the back-end's
        own if it is not there.

    Attributes
    ----------
    outputs : tuple of str
        All that there are.

    Example
    -------
    >>> from speechbrain_ext.backends.speech_transformer import (
    ...     SpeechTransformer,
    ... )
    >>> from speechbrain_ext.backends.units import CharacterSet
    >>> from speechbrain_ext.features.log_magnitude import Magnitude
    >>> from speechbrain_ext.frontends.spectrogram_fusion import (
    ...     MappingMasking,
    ...     SpectrogramFusion,
    ... )
    >>> asr = FusionASR(
    ...     modules={
    ...         "features": Magnitude(),
    ...         "front_end": SpectrogramFusion(
    ...             MappingMasking(hidden=8), output="masking"
    ...         ),
    ...         "back_end": SpeechTransformer(
    ...             CharacterSet("ab "), d_model=16, nhead=2, d_ffn=16
    ...         ),
    ...     },
    ...     hparams={},
    ... )
    >>> asr.outputs
    ('noisy', 'mapping', 'masking')
    >>> spectrograms = asr.spectrograms(torch.zeros(1, 1600), torch.ones(1))
    >>> spectrograms["masking"].shape
    torch.Size([1, 8, 257])
    >>> asr.enhance_batch(torch.zeros(1, 1600), torch.ones(1)).shape
    torch.Size([1, 1600])
    """

    MODULES_NEEDED = ["features", "front_end", "back_end"]

    #: Of a chunk that is enhanced, and of what it shares with the next one, in
    #: seconds: read sentences are enhanced whole.
    chunk_seconds = 40.0
    overlap_seconds = 2.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        front_end = self.mods.front_end
        self.outputs = getattr(front_end, "outputs", ("noisy",))
        self._output = getattr(front_end, "output", "noisy")
        self.beam_size = getattr(self.hparams, "beam_size", None)

    @property
    def output(self):
        """str : What is used where no output is named; can be set."""
        return self._output

    @output.setter
    def output(self, name):
        """Choose what is used where no output is named.

        Arguments
        ---------
        name : str
            One of ``outputs``.

        Raises
        ------
        UserError
            When the model does not have it.
        """
        self._output = self._check_output(name)

    def _check_output(self, name):
        if name is None:
            return self.output
        if name not in self.outputs:
            raise UserError(
                f"output: {name!r}; expected one of this model's, "
                f"{', '.join(self.outputs)}"
            )
        return name

    @torch.no_grad()
    def spectrograms(self, wavs, lengths):
        """Compute all spectrograms of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        dict[str, torch.Tensor]
            Magnitudes [batch, frames, 257] by the names of ``outputs``, on the
            model's device; with the fusion also the minimum difference masks
            ``"mapping mask"`` and ``"masking mask"``.
        """
        wavs, lengths = wavs.to(self.device), lengths.to(self.device)
        noisy = self.mods.features(wavs, lengths)
        with self.inference_ctx:
            found = self.mods.front_end(
                noisy, self._frame_lengths(wavs, lengths, noisy)
            )
        return found if isinstance(found, dict) else {"noisy": noisy}

    def _frame_lengths(self, wavs, lengths, feats):
        return self.mods.features.relative_frames(
            lengths.to(self.device), wavs.shape[1], feats.shape[1]
        )

    @torch.no_grad()
    def transcribe_batch(self, wavs, lengths, output=None):
        """Transcribe utterances of at most 30 s.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        output : str, optional
            Which spectrogram the recogniser is given.

        Returns
        -------
        list of str
            A text an utterance; empty for digital silence.

        Raises
        ------
        UserError
            When the model does not have the output.
        """
        output = self._check_output(output)
        texts = [""] * len(wavs)
        wavs = mask_padding(wavs, lengths)
        heard = wavs.any(dim=1).nonzero()[:, 0].tolist()
        if heard:
            wavs, lengths = wavs[heard], lengths[heard]
            feats = self.spectrograms(wavs, lengths)[output]
            with self.inference_ctx:
                found = self.mods.back_end.transcribe(
                    feats,
                    beam_size=self.beam_size,
                    lengths=self._frame_lengths(wavs, lengths, feats),
                )
            for index, text in zip(heard, found):
                texts[index] = text
        return texts

    def read(self, path, lost=None):
        """Read a file, as other recognisers do.

        Arguments
        ---------
        path : str or Path
            Audio of any rate, channel count and length.
        lost : None
            No packets are lost.

        Returns
        -------
        signal : torch.Tensor
            [time], 16 kHz.
        lost : torch.Tensor
            [time], bool, False.
        """
        signal = load_audio(path)
        return signal, torch.zeros_like(signal, dtype=torch.bool)

    def transcribe_signals(self, signals, output=None, batch_size=16):
        """Transcribe signals of any lengths together.

        Audio longer than 30 s is cut at the pauses.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.
        output : str, optional
            Which spectrogram the recogniser is given.
        batch_size : int
            Windows of at most 30 s at once.

        Returns
        -------
        list of str
            A text a signal.
        """

        def transcribe(wavs):
            """Recognise a batch of chunks."""
            samples = torch.tensor([len(wav) for wav in wavs])
            return self.transcribe_batch(
                pad_sequence(wavs, batch_first=True),
                samples / samples.max().clamp(min=1),
                output,
            )

        self._check_output(output)
        windows = [
            (index, signal[start:end])
            for index, signal in enumerate(signals)
            for start, end in split_at_pauses(
                signal, torch.zeros_like(signal, dtype=torch.bool)
            )
        ]
        return transcribe_windows(transcribe, windows, len(signals), batch_size)

    def transcribe_files(self, paths, output=None, batch_size=16):
        """Transcribe audio files together: faster than one by one.

        Arguments
        ---------
        paths : list of str or Path
            The files, of any rates, channel counts and lengths.
        output : str, optional
            Which spectrogram the recogniser is given.
        batch_size : int
            Windows of at most 30 s at once.

        Returns
        -------
        list of str
            A text a file.

        Raises
        ------
        UserError
            When a file is not audio, or the model does not have the output.
        """
        signals = [load_audio(path) for path in paths]
        return self.transcribe_signals(signals, output, batch_size)

    def transcribe_file(self, path, output=None):
        """Transcribe an audio file of any rate, channel count and length.

        Arguments
        ---------
        path : str or Path
            The file.
        output : str, optional
            Which spectrogram the recogniser is given.

        Returns
        -------
        str

        Raises
        ------
        UserError
            When the file is not audio, or the model does not have the output.
        """
        (text,) = self.transcribe_files([path], output)
        return text

    @torch.no_grad()
    def enhance_batch(self, wavs, lengths, output=None):
        """Make waveforms of a spectrogram and of the noisy phases.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        output : str, optional
            Which spectrogram.

        Returns
        -------
        torch.Tensor
            [batch, time], on the model's device; zero past each one's end.

        Raises
        ------
        UserError
            When the model does not have the output.
        """
        output = self._check_output(output)
        wavs, lengths = wavs.to(self.device), lengths.to(self.device)
        return self.mods.features.resynthesise(
            self.spectrograms(wavs, lengths)[output], wavs, lengths
        )

    def enhance_file(self, path, output_path=None, output=None):
        """Enhance an audio file of any rate, channel count and length.

        Arguments
        ---------
        path : str or Path
            The file.
        output_path : str or Path, optional
            A .wav or .flac file to write, at 16 kHz.
        output : str, optional
            Which spectrogram.

        Returns
        -------
        torch.Tensor
            [time], 16 kHz.

        Raises
        ------
        UserError
            When the file is not audio, the model does not have the output, or
            the file cannot be written.
        """
        self._check_output(output)
        signal = load_audio(path)

        def enhance(start, end):
            """Enhance a chunk."""
            chunk = signal[None, start:end]
            return self.enhance_batch(chunk, torch.ones(1), output)[0].cpu()

        enhanced = process_in_chunks(
            enhance,
            len(signal),
            round(self.chunk_seconds * SAMPLE_RATE),
            round(self.overlap_seconds * SAMPLE_RATE),
        )
        if output_path is not None:
            save_audio(output_path, enhanced)
        return enhanced

    def forward(self, wavs, lengths, output=None):
        """Transcribe a batch; see :meth:`transcribe_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        output : str, optional
            Which spectrogram the recogniser is given.

        Returns
        -------
        list of str
        """
        return self.transcribe_batch(wavs, lengths, output)
