"""Speech recognition that survives packet loss."""

from pathlib import Path

import torch
from speechbrain.inference.interfaces import Pretrained
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corruption.lost_packets import (
    PACKET_SECONDS,
    lost_samples,
    read_lost_packets,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding
from speechbrain_ext.inference.model_folder import (
    check_backend,
    load_for_ctranslate2,
    one_line_errors,
)
from speechbrain_ext.inference.silence import (
    load_with_silence,
    silent_runs,
    split_at_pauses,
    transcribe_windows,
)

#: 16-bit audio of fewer than two steps is silence, dithered or not.
_SILENCE = 2 / 32768


class PacketLossASR(Pretrained):
    """A frozen recogniser behind a front-end that repairs packet loss.

    The model of paper 0 (Dissen et al., Interspeech 2024). Load it with
    ``PacketLossASR.from_hparams(source=FOLDER_OR_HUB_ID)``.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them. A
        front-end takes features, or waveforms where its attribute
        ``takes_waveforms`` is True.

    Raises
    ------
    UserError
        When lost mel frames are to be zeroed and the front-end takes
        waveforms.

    Example
    -------
    >>> from speechbrain_ext.backends.whisper import FrozenWhisper
    >>> from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
    >>> from speechbrain_ext.frontends.light_adapter import LightAdapter
    >>> asr = PacketLossASR(
    ...     modules={
    ...         "front_end": LightAdapter(),
    ...         "features": WhisperLogMel(),
    ...         "back_end": FrozenWhisper("openai/whisper-tiny.en"),
    ...     },
    ...     hparams={"packet_seconds": 0.02, "zero_lost_frames": False},
    ... )
    >>> asr.transcribe_batch(torch.zeros(1, 16000), torch.ones(1))
    ['']
    """

    MODULES_NEEDED = ["front_end", "features", "back_end"]
    HPARAMS_NEEDED = ["packet_seconds", "zero_lost_frames"]
    #: Whether exact silence counts as lost where nothing says what was lost;
    #: where not, nothing was.
    silence_is_lost = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        front_end = self.mods.front_end
        self.takes_waveforms = getattr(front_end, "takes_waveforms", False)
        if self.takes_waveforms and self.hparams.zero_lost_frames:
            raise UserError(
                "zero_lost_frames: True, and the front-end "
                f"({type(front_end).__name__}) repairs waveforms, where lost "
                "samples are zero; expected False"
            )

    @classmethod
    def from_hparams(
        cls,
        source,
        *args,
        backend="torch",
        compute_type="float32",
        **kwargs,
    ):
        """Load a model's folder or hub id.

        SpeechBrain's own loading, which runs the YAML file: the source is
        trusted. :func:`speechbrain_ext.inference.load` trusts none.

        Arguments
        ---------
        source : str or Path
            The folder or hub id.
        *args
            As SpeechBrain's method takes them, with the torch backend.
        backend : str
            What runs the recogniser: ``"torch"``, or ``"ctranslate2"``, which
            is several times faster; the front-end runs in torch.
        compute_type : str
            What CTranslate2 computes in: ``"float32"``, ``"int8"`` or another
            of its types.
        **kwargs
            As SpeechBrain's method takes them; with CTranslate2 ``overrides``
            and what the class itself takes (``run_opts``).

        Returns
        -------
        PacketLossASR

        Raises
        ------
        UserError
            When the folder holds no model, its weights are damaged, the hub
            does not give it, or the backend cannot run it.
        """
        check_backend(backend)
        with one_line_errors(source):
            if backend == "ctranslate2":
                overrides = kwargs.pop("overrides", None)
                hparams = load_for_ctranslate2(source, compute_type, overrides)
                return cls(
                    modules=hparams["modules"], hparams=hparams, **kwargs
                )
            return super().from_hparams(str(source), *args, **kwargs)

    @property
    def packet_samples(self):
        """Samples of a unit of ``lost`` in :meth:`transcribe_batch`."""
        return round(self.hparams.packet_seconds * SAMPLE_RATE)

    @property
    def language(self):
        """str or None : The code of the language that is transcribed.

        The model's folder says which at first; a multilingual model takes any
        that Whisper knows (``asr.language = "es"``), an English-only one has
        None.
        """
        return self.mods.back_end.language

    @language.setter
    def language(self, code):
        """Say what is spoken; see the back-end's ``set_language``.

        Arguments
        ---------
        code : str or None
            A code that Whisper knows, ``"es"``.

        Raises
        ------
        UserError
            When Whisper does not know it, or the model speaks English only.
        """
        self.mods.back_end.set_language(code)

    def transcribe_file(self, path, lost=None, front_end=True):
        """Transcribe an audio file of any rate, channel count and length.

        Arguments
        ---------
        path : str or Path
            The file.
        lost : str or Path or torch.Tensor, optional
            A lost-packet file, or bool [packets], True where a 20 ms packet
            was lost. If not given, runs of exact digital silence that are at
            least a packet long count as lost.
        front_end : bool
            False is the bare recogniser, with the same decoding.

        Returns
        -------
        str
            The text; empty for silence and where everything was lost.

        Raises
        ------
        UserError
            When the audio or the lost-packet file cannot be used.
        """
        return self.transcribe_signal(
            *self.read(path, lost), front_end=front_end
        )

    def read(self, path, lost=None):
        """Read a file and say which of its samples were lost.

        Arguments
        ---------
        path : str or Path
            The audio file.
        lost : str or Path or torch.Tensor, optional
            See :meth:`transcribe_file`.

        Returns
        -------
        signal : torch.Tensor
            [time], 16 kHz, zero where it was lost.
        lost : torch.Tensor
            [time], bool.
        """
        signal, silent = load_with_silence(path)
        n = len(signal)
        if lost is None:
            gone = silent & self.silence_is_lost
        else:
            unit = round(PACKET_SECONDS * SAMPLE_RATE)
            if not isinstance(lost, torch.Tensor):
                lost = read_lost_packets(lost, -(-n // unit))
            gone = lost_samples(lost[None], unit, n)[0]
        return signal.masked_fill(gone, 0.0), gone

    def transcribe_signal(self, signal, lost, front_end=True):
        """Transcribe one signal of any length.

        Audio longer than 30 s is cut at the pauses, so that no word stands
        across two windows.

        Arguments
        ---------
        signal : torch.Tensor
            [time], 16 kHz.
        lost : torch.Tensor
            [time], bool.
        front_end : bool
            False is the bare recogniser.

        Returns
        -------
        str
        """
        (text,) = self.transcribe_signals([signal], [lost], front_end, 1)
        return text

    def transcribe_files(self, paths, front_end=True, batch_size=16):
        """Transcribe audio files together: faster than one by one.

        Arguments
        ---------
        paths : list of str or Path
            The files, of any rates, channel counts and lengths.
        front_end : bool
            False is the bare recogniser.
        batch_size : int
            Windows of at most 30 s at once.

        Returns
        -------
        list of str
            A text a file.

        Raises
        ------
        UserError
            When a file cannot be used.
        """
        signals, lost = [], []
        for path in paths:
            signal, gone = self.read(path)
            signals.append(signal)
            lost.append(gone)
        return self.transcribe_signals(signals, lost, front_end, batch_size)

    def transcribe_signals(self, signals, lost, front_end=True, batch_size=16):
        """Transcribe signals of any lengths together.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.
        lost : list of torch.Tensor
            [time] each, bool.
        front_end : bool
            False is the bare recogniser.
        batch_size : int
            Windows of at most 30 s at once.

        Returns
        -------
        list of str
            A text a signal.
        """
        windows = [
            (index, signal[start:end], gone[start:end])
            for index, (signal, gone) in enumerate(zip(signals, lost))
            for start, end in split_at_pauses(signal, gone)
        ]

        def transcribe(wavs, gone):
            """Recognise a batch of chunks."""
            samples = torch.tensor([len(wav) for wav in wavs])
            return self._transcribe_windows(
                pad_sequence(wavs, batch_first=True),
                samples / samples.max().clamp(min=1),
                pad_sequence(gone, batch_first=True),
                front_end,
            )

        return transcribe_windows(transcribe, windows, len(signals), batch_size)

    def transcribe_batch(self, wavs, lengths, lost=None, front_end=True):
        """Transcribe a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, packets], True where a packet of ``packet_samples``
            was lost. If not given, runs of exact digital silence that are at
            least a packet long count as lost.
        front_end : bool
            False is the bare recogniser, with the same decoding.

        Returns
        -------
        list of str
            One text an utterance.
        """
        if lost is None and not self.silence_is_lost:
            gone = torch.zeros(wavs.shape, dtype=torch.bool)
        elif lost is None:
            # The padding of a batch is zero as well, without being lost.
            padding = mask_padding(torch.ones_like(wavs), lengths) == 0
            gone = silent_runs(
                wavs.masked_fill(padding, 1.0), self.packet_samples
            )
        else:
            gone = lost_samples(lost, self.packet_samples, wavs.shape[1])
        ends = (lengths * wavs.shape[1]).round().int().tolist()
        if max(ends) > self.mods.features.max_samples:
            return [
                self.transcribe_signal(wav[:end], row[:end], front_end)
                for wav, row, end in zip(wavs, gone, ends)
            ]
        longest = max(ends)
        relative = torch.tensor(ends) / longest
        return self._transcribe_windows(
            wavs[:, :longest], relative, gone[:, :longest], front_end
        )

    def forward(self, wavs, lengths, lost=None, front_end=True):
        """Transcribe a batch; the same as :meth:`transcribe_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, packets].
        front_end : bool
            False is the bare recogniser.

        Returns
        -------
        list of str
        """
        return self.transcribe_batch(wavs, lengths, lost, front_end)

    @torch.no_grad()
    def _transcribe_windows(self, wavs, lengths, gone, front_end):
        """Transcribe a batch of at most 30 s."""
        lengths = lengths.to(self.device)
        gone = gone.to(self.device)
        wavs = mask_padding(wavs.to(self.device).float(), lengths)
        if not self.hparams.zero_lost_frames:
            wavs = wavs.masked_fill(gone, 0.0)
        texts = [""] * len(wavs)
        heard = (wavs.masked_fill(gone, 0.0).abs() > _SILENCE).any(dim=1)
        members = heard.nonzero()[:, 0].tolist()
        if members:
            with self.inference_ctx:
                found = self._recognise(
                    wavs[members], lengths[members], gone[members], front_end
                )
            for index, text in zip(members, found):
                texts[index] = text
        return texts

    def _recognise(self, wavs, lengths, gone, front_end):
        if front_end and self.takes_waveforms:
            wavs = self.mods.front_end(wavs, lengths, gone)
        feats = self.mods.features(wavs, lengths)
        share = self.mods.features.lost_share(gone, feats.shape[1])
        if self.hparams.zero_lost_frames:
            feats = feats.masked_fill(share[..., None] > 0.5, 0.0)
        if front_end and not self.takes_waveforms:
            frame_lengths = (
                lengths * wavs.shape[1] / self.mods.features.max_samples
            )
            feats = self.mods.front_end(feats, frame_lengths, share)
        seconds = lengths * wavs.shape[1] / SAMPLE_RATE
        return self.mods.back_end.transcribe(feats, seconds)


def model_name(source):
    """Return a short name for results: the folder's or hub id's last part.

    Arguments
    ---------
    source : str or Path
        A model's folder or hub id.

    Returns
    -------
    str

    Example
    -------
    >>> model_name("pretrained/plc-whisper-tiny.en/")
    'plc-whisper-tiny.en'
    """
    name = Path(source).name
    if not name:
        raise UserError(f"{source}: names no model")
    return name
