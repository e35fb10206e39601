"""Speech inpainting: masked parts of the spectrum, found again (paper 2)."""

from pathlib import Path

import numpy as np
import torch

from speechbrain_ext.audio import SAMPLE_RATE, save_audio
from speechbrain_ext.corruption.lost_packets import (
    PACKET_SECONDS,
    lost_samples,
    read_lost_packets,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.segment_log_magnitude import HOP_LENGTH
from speechbrain_ext.files import describe
from speechbrain_ext.frontends.inpainting_concealer import (
    count_frames,
    inpaint_segments,
    inpaint_waveforms,
    keep_received,
    silent_frame,
    touched_bins,
)
from speechbrain_ext.inference.chunks import process_in_chunks
from speechbrain_ext.inference.front_end import FrontEndInterface
from speechbrain_ext.inference.silence import load_with_silence, silent_runs

_PACKET = round(PACKET_SECONDS * SAMPLE_RATE)

_UNKNOWN = (
    "{}: nothing says what is lost; expected a mask, lost packets or runs of "
    "digital silence of 20 ms, as the model is informed"
)


class Inpainter(FrontEndInterface):
    """A network that repairs what is masked in a spectrogram of speech.

    The model of paper 2 (Kegler, Beckmann & Cernak), for speech of any length.
    Load it with ``Inpainter.from_hparams(source=FOLDER_OR_HUB_ID)``. Segments
    of a second overlap by half and are faded into each other.

    An *informed* model is told what is lost: masked features are set to 0 and
    its convolutions leave them out. A *blind* one is not: it is given the
    speech as it is, and a mask says no more than what ``keep_observed`` keeps.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them.

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
    >>> inpainter = Inpainter(
    ...     modules={
    ...         "features": SegmentLogMagnitude("griffin-lim"),
    ...         "front_end": InpaintingUNet(informed=True),
    ...     },
    ...     hparams={},
    ... )
    >>> mask = torch.zeros(250, 128, dtype=torch.bool)
    >>> mask[100:120] = True
    >>> inpainter.inpaint_signal(torch.randn(32000), mask).shape
    torch.Size([32000])
    """

    #: Of a chunk, and of what it shares with the next one, in seconds: all
    #: segments but a chunk's last one are those of the whole signal.
    chunk_seconds = 32.768
    overlap_seconds = 1.024

    @property
    def informed(self):
        """bool : Whether the network is told what is masked."""
        return self.mods.front_end.informed

    @torch.no_grad()
    def inpaint_features(self, feats, lengths, lost=None):
        """Repair features of any length.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, 128], normalised.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, frames, 128], True where a bin is masked. An informed
            network takes none for nothing masked, a blind one does not use it.

        Returns
        -------
        torch.Tensor
            [batch, frames, 128], all of it the network's; 0 past each one's
            end. An informed network's segments that are masked all over are
            silence: it would make something of nothing.

        Raises
        ------
        UserError
            For a mask of another shape.
        """
        return inpaint_segments(
            self.mods.front_end,
            feats.to(self.device),
            lengths.to(self.device),
            lost,
            silent_frame(self.mods.features),
        )

    def inpaint_batch(self, wavs, lengths, lost=None, keep_observed=False):
        """Repair utterances at once, each as a whole, as if it were alone.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, frames, 128], True where a bin is masked, on the frames
            that the model's ``features`` have of ``wavs``.
        keep_observed : bool
            True: bins that are not masked are kept, phases included; without a
            mask, those that a blind network does not change by much. False: the
            paper's way; all bins are the network's, and all phases are
            estimated from them.

        Returns
        -------
        torch.Tensor
            [batch, time], on the model's device; zero past each one's end. An
            informed network's segments that are masked all over are silence.

        Raises
        ------
        UserError
            When an informed model is given no mask, or it has another shape.
        """
        if lost is None and self.informed:
            raise UserError(
                "mask: none given, and the model is informed; expected bool "
                "[batch, frames, channels], True where a bin is masked"
            )
        return inpaint_waveforms(
            self.mods.features,
            self.mods.front_end,
            wavs.to(self.device),
            lengths.to(self.device),
            lost,
            keep_observed,
        )

    def inpaint_signal(self, signal, lost=None, keep_observed=True):
        """Repair audio of any length, in bounded memory.

        Here, and for files, what is observed is kept: whoever repairs a
        recording wants the rest of it unharmed, while the paper's way makes all
        of it anew from a network's magnitudes.

        Arguments
        ---------
        signal : torch.Tensor
            [time], 16 kHz.
        lost : torch.Tensor, optional
            bool [frames, 128], True where a bin is masked. If not given, an
            informed model takes runs of exact digital silence of 20 ms or more
            for lost.
        keep_observed : bool
            As :meth:`inpaint_batch` takes it.

        Returns
        -------
        torch.Tensor
            [time], on the CPU.

        Raises
        ------
        UserError
            For a signal without samples, a mask of another shape, or an
            informed model where nothing says what is lost.
        """
        if lost is None and self.informed:
            gone = silent_runs(signal[None], _PACKET)[0]
            if not gone.any():
                raise UserError(_UNKNOWN.format("signal"))
            return self.inpaint_gaps(signal, gone, keep_observed)
        return self._inpaint_chunks(signal, lost, keep_observed)

    def inpaint_gaps(self, signal, gone, keep_observed=True):
        """Repair a signal that lost samples: packets, for example.

        All frames whose window touches a lost sample are masked.

        Arguments
        ---------
        signal : torch.Tensor
            [time], 16 kHz.
        gone : torch.Tensor
            bool [time], True where a sample was lost.
        keep_observed : bool
            True keeps the samples that were received, but for 4 ms on either
            side of a gap.

        Returns
        -------
        torch.Tensor
            [time], on the CPU.
        """
        signal, gone = signal.cpu().masked_fill(gone.cpu(), 0.0), gone.cpu()
        features = self.mods.features
        lost = touched_bins(features, gone[None].to(self.device))[0]
        found = self._inpaint_chunks(signal, lost, keep_observed)
        if keep_observed:
            found = keep_received(found[None], signal[None], gone[None])[0]
        return found

    def inpaint_file(
        self,
        path,
        output=None,
        mask=None,
        lost_packets=None,
        keep_observed=True,
    ):
        """Repair an audio file.

        Arguments
        ---------
        path : str or Path
            Audio of any rate, channel count and length.
        output : str or Path, optional
            A .wav or .flac file to write, at 16 kHz.
        mask : str or Path or numpy.ndarray or torch.Tensor, optional
            bool [frames, 128], or a .npy file of it; True where a bin is
            masked. A frame is 8 ms of the file at 16 kHz.
        lost_packets : str or Path or torch.Tensor, optional
            A lost-packet file, or bool [packets] of 20 ms, True where one was
            lost. With neither, an informed model takes runs of exact digital
            silence of 20 ms or more for lost.
        keep_observed : bool
            As :meth:`inpaint_signal` takes it, and True for its reasons.

        Returns
        -------
        torch.Tensor
            [time], 16 kHz.

        Raises
        ------
        UserError
            When a file cannot be used, mask and lost packets are both given,
            nothing says what is lost, or the output cannot be written.
        """
        if mask is not None and lost_packets is not None:
            raise UserError(
                f"{path}: a mask and lost packets are given; expected one"
            )
        signal, silent = load_with_silence(path)
        if lost_packets is not None:
            gone = _lost_in(lost_packets, len(signal))
            found = self.inpaint_gaps(signal, gone, keep_observed)
        elif mask is not None or not self.informed:
            if mask is not None:
                mask = read_mask(mask, path, count_frames(len(signal)))
            found = self.inpaint_signal(signal, mask, keep_observed)
        elif silent.any():
            found = self.inpaint_gaps(signal, silent, keep_observed)
        else:
            raise UserError(_UNKNOWN.format(path))
        if output is not None:
            save_audio(output, found)
        return found

    def forward(self, wavs, lengths, lost=None, keep_observed=False):
        """Repair a batch; see :meth:`inpaint_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            bool [batch, frames, 128].
        keep_observed : bool
            Whether to keep what is not masked.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        return self.inpaint_batch(wavs, lengths, lost, keep_observed)

    def _inpaint_chunks(self, signal, lost, keep_observed):
        if not len(signal):
            raise UserError("signal: holds no samples; expected audio")
        if lost is not None:
            shape = count_frames(len(signal)), self.mods.features.n_bins
            _check_shape("mask", lost, shape)

        def inpaint(start, end):
            """Repair a chunk."""
            rows = slice(start // HOP_LENGTH, count_frames(end))
            return self.inpaint_batch(
                signal[None, start:end],
                torch.ones(1),
                None if lost is None else lost[None, rows],
                keep_observed,
            )[0].cpu()

        return process_in_chunks(
            inpaint,
            len(signal),
            round(self.chunk_seconds * SAMPLE_RATE),
            round(self.overlap_seconds * SAMPLE_RATE),
            turn=not keep_observed,
        )


def _lost_in(lost_packets, samples):
    if not isinstance(lost_packets, torch.Tensor):
        lost_packets = read_lost_packets(lost_packets, -(-samples // _PACKET))
    return lost_samples(lost_packets[None], _PACKET, samples)[0]


def read_mask(mask, name, frames, bins=128):
    """Read a mask of time and frequency, and check that it is one.

    Arguments
    ---------
    mask : str or Path or numpy.ndarray or torch.Tensor
        A .npy file, or what such a file holds.
    name : str or Path
        Of the audio, for the message.
    frames, bins : int
        What the audio's features have.

    Returns
    -------
    torch.Tensor
        bool [frames, bins], True where a bin is masked.

    Raises
    ------
    UserError
        When the file cannot be read, or holds no such mask.

    Example
    -------
    >>> read_mask(np.ones((3, 128)), "in.wav", 4)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: mask: has the shape (3, 128); expected \
(4, 128), frames and channels of in.wav
    """
    label = "mask"
    if isinstance(mask, (str, Path)):
        label, mask = mask, _load_array(mask)
    mask = torch.as_tensor(mask)
    _check_shape(label, mask, (frames, bins), f" of {name}")
    if not ((mask == 0) | (mask == 1)).all():
        raise UserError(
            f"{label}: has values other than 0 and 1; expected bool, True "
            "where a bin is masked"
        )
    return mask.bool()


def _load_array(path):
    expected = "expected a .npy file, bool [frames, channels]"
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {expected}") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({describe(error)}); {expected}"
        ) from error
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: no array; {expected}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise UserError(f"{path}: no array of numbers; {expected}")
    return array


def _check_shape(label, mask, shape, of=""):
    if tuple(mask.shape) != tuple(shape):
        raise UserError(
            f"{label}: has the shape {tuple(mask.shape)}; expected "
            f"{tuple(shape)}, frames and channels{of}"
        )
