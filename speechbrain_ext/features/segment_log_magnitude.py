"""Normalised log magnitudes of segments of a second (paper 2, section 2.1)."""

import torch
from torch.nn import functional as F

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corpora.segments import SEGMENT_SECONDS
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding, window_share
from speechbrain_ext.features.phase import (
    fast_griffin_lim,
    frame_spectrum,
    has_local_weighted_sums,
    local_weighted_sums,
    overlap_add,
    symmetric_window,
    unit_phases,
)

WINDOW_LENGTH = 256
HOP_LENGTH = 128
N_BINS = 128
#: Samples and frames of a segment.
SEGMENT_SAMPLES = round(SEGMENT_SECONDS * SAMPLE_RATE)
SEGMENT_FRAMES = SEGMENT_SAMPLES // HOP_LENGTH

PHASES = ("auto", "lws", "griffin-lim")

# Half a window less half a hop: a segment of 128 hops has 128 windows, whose
# middles are the middles of its hops.
_MARGIN = (WINDOW_LENGTH - HOP_LENGTH) // 2
# Below half a step of 16-bit samples; the logarithm of silence is finite.
_FLOOR = 1e-5
# 64 ms: as far as what was observed says how a waveform goes on.
_GUESSED_FRAMES = 8


class SegmentLogMagnitude(torch.nn.Module):
    """Log magnitudes, normalised by channel, and the way back without phases.

    Windows of 256 samples every 128, at 16 kHz. Of the transform's 129 bins the
    highest, at 8 kHz, is dropped: recordings have been filtered there. The way
    back restores it as 0, or as it was where the frame's highest channel was
    observed. Frame n's window has its middle at sample 128 n + 64: no window is
    left over and a segment of 1024 ms has 128 frames. Longer speech is on the
    same grid, so that segments can be cut from its features.

    The statistics are buffers, saved with the model; before :meth:`fit` or a
    checkpoint sets them they are 0 and 1.

    Arguments
    ---------
    phase : str
        How phases are estimated: ``"lws"``, local weighted sums as in the
        paper, by the optional package of that name; ``"griffin-lim"``, the
        fast Griffin-Lim algorithm; ``"auto"``, the first where it is installed.
    iterations : int
        Of Griffin-Lim, and of what fits the phases of repaired bins to those
        that were observed.

    Raises
    ------
    UserError
        For another ``phase``, or for ``"lws"`` where it is not installed.

    Example
    -------
    >>> features = SegmentLogMagnitude("griffin-lim")
    >>> wavs, lengths = torch.randn(2, 16384), torch.ones(2)
    >>> features.fit([(wavs, lengths)])
    >>> feats = features(wavs, lengths)
    >>> feats.shape, feats.mean().abs() < 1e-4, feats.std()
    (torch.Size([2, 128, 128]), tensor(True), tensor(1.0000))
    >>> features.resynthesise(feats, wavs, lengths).shape
    torch.Size([2, 16384])
    """

    n_bins = N_BINS

    def __init__(self, phase="auto", iterations=64):
        super().__init__()
        if phase not in PHASES:
            raise UserError(f"phase: is {phase}; expected one of {PHASES}")
        if phase == "auto":
            phase = "lws" if has_local_weighted_sums() else "griffin-lim"
        self.phase = phase
        self.iterations = iterations
        self.register_buffer(
            "window", symmetric_window(WINDOW_LENGTH), persistent=False
        )
        self.register_buffer("mean", torch.zeros(N_BINS))
        self.register_buffer("deviation", torch.ones(N_BINS))
        if phase == "lws":
            # Now, and not when training has come to its first validation.
            self._estimate_phases(torch.ones(1, 4, N_BINS + 1))

    @torch.no_grad()
    def fit(self, batches):
        """Take the mean and deviation of every channel from training speech.

        Arguments
        ---------
        batches : iterable of (torch.Tensor, torch.Tensor)
            Waveforms [batch, time] and relative lengths [batch]; frames past an
            utterance's end do not count.

        Raises
        ------
        UserError
            When there is no speech.
        """
        count = 0
        sums = torch.zeros(2, N_BINS, dtype=torch.float64)
        for wavs, lengths in batches:
            logs = self._log_magnitudes(wavs, lengths).double().cpu()
            ends = (lengths.cpu() * wavs.shape[1]).round()[:, None]
            inside = torch.arange(logs.shape[1]) * HOP_LENGTH < ends
            logs = logs[inside]
            count += len(logs)
            sums += torch.stack([logs.sum(dim=0), logs.square().sum(dim=0)])
        if not count:
            raise UserError("statistics: no training speech; expected some")
        mean, square = sums / count
        deviation = (square - mean**2).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        # A channel that never changes: its features are then 0.
        self.deviation.copy_(deviation.clamp(min=1e-3))

    def spectrum(self, wavs, lengths):
        """Compute the complex spectrum.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, frames, 129], complex.
        """
        samples = wavs.shape[1]
        frames = self._n_frames(samples)
        ends = (_MARGIN, frames * HOP_LENGTH - samples + _MARGIN)
        wavs = F.pad(mask_padding(wavs.float(), lengths), ends)
        return frame_spectrum(wavs, self.window, HOP_LENGTH)

    def _n_frames(self, samples):
        return -(-samples // HOP_LENGTH)

    def _log_magnitudes(self, wavs, lengths):
        with torch.autocast(wavs.device.type, enabled=False):
            spectrum = self.spectrum(wavs, lengths)[..., :N_BINS]
            return spectrum.abs().clamp(min=_FLOOR).log()

    def forward(self, wavs, lengths):
        """Compute the features of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, frames, 128], float32.
        """
        return (self._log_magnitudes(wavs, lengths) - self.mean) / (
            self.deviation
        )

    def magnitudes(self, feats):
        """Undo the normalisation and the logarithm.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, 128].

        Returns
        -------
        torch.Tensor
            [batch, frames, 129], the bin at 8 kHz being 0.
        """
        logs = feats.float() * self.deviation + self.mean
        # A network's slip must not become infinite.
        return F.pad(logs.clamp(max=10.0).exp(), (0, 1))

    def resynthesise(
        self, feats, wavs, lengths, lost=None, guess=None, observed=None
    ):
        """Turn repaired features into a waveform.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, 128], as :meth:`forward` returns them.
        wavs : torch.Tensor
            [batch, time]: the damaged waveforms. Without ``lost`` they say no
            more than how long the result is.
        lengths : torch.Tensor
            [batch], relative to ``wavs``.
        lost : torch.Tensor, optional
            bool [batch, frames, 128], True where a bin is masked: the others
            are kept as they are in ``wavs``, phases included. Where none is
            given all phases are estimated, as in the paper.
        guess : torch.Tensor, optional
            [batch, time], with ``lost``: a waveform that goes on where frames
            lost all channels. Up to 64 ms from what was observed their phases
            are this one's; those farther off begin with them.
        observed : torch.Tensor, optional
            [batch, frames, 129], complex, with ``lost``: what stands where
            nothing is masked; the spectrum of ``wavs`` if not given.

        Returns
        -------
        torch.Tensor
            [batch, time], zero past an utterance's end.

        Raises
        ------
        UserError
            For a mask of another shape.
        """
        if lost is not None:
            self._check_mask(feats, lost)
        with torch.autocast(wavs.device.type, enabled=False):
            magnitudes = self.magnitudes(feats)
            if lost is None:
                spectrum = magnitudes * self._estimate_phases(magnitudes)
            else:
                if observed is None:
                    observed = self.spectrum(wavs, lengths)
                if guess is not None:
                    guess = self.spectrum(guess, lengths)
                known = ~_with_highest(lost)
                spectrum = self._fit_phases(magnitudes, observed, known, guess)
            return self._waveform(spectrum, wavs.shape[1], lengths)

    def silence(self, wavs, lengths, lost):
        """Leave what is heard of masked speech that nothing repairs.

        The tables' column "Gaps": masked bins of the complex spectrum are 0.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], clean.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor
            bool [batch, frames, 128], True where a bin is masked; the bin at
            8 kHz shares the fate of the highest channel.

        Returns
        -------
        torch.Tensor
            [batch, time].

        Raises
        ------
        UserError
            For a mask of another shape.
        """
        spectrum = self.spectrum(wavs, lengths)
        self._check_mask(spectrum[..., :N_BINS], lost)
        spectrum = spectrum.masked_fill(_with_highest(lost), 0)
        return self._waveform(spectrum, wavs.shape[1], lengths)

    def shaped_noise(self, wavs, lengths, lost, noise):
        """Put noise of the speech's own spectrum where it is masked.

        The tables' column "Noise" (section 3.1): a bin's energy is its
        channel's mean over all of the original.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], clean.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor
            bool [batch, frames, 128], True where a bin is masked.
        noise : torch.Tensor
            [batch, time], white.

        Returns
        -------
        torch.Tensor
            [batch, time].

        Raises
        ------
        UserError
            For a mask of another shape.
        """
        speech = self.spectrum(wavs, lengths)
        self._check_mask(speech[..., :N_BINS], lost)
        noise = self.spectrum(noise, lengths)
        # Frames past an utterance's end have neither: the ratio stays.
        wanted, has = (
            each.abs().square().sum(dim=1, keepdim=True).sqrt()
            for each in (speech, noise)
        )
        noise = noise * (wanted / has.clamp(min=1e-12))
        spectrum = torch.where(_with_highest(lost), noise, speech)
        return self._waveform(spectrum, wavs.shape[1], lengths)

    def touched_samples(self, lost, samples):
        """Mark the samples that a wholly masked frame takes part in.

        Arguments
        ---------
        lost : torch.Tensor
            bool [batch, frames, 128]; frames that lost all channels count.
        samples : int
            How many samples there are.

        Returns
        -------
        torch.Tensor
            bool [batch, time]: what a repair in the time domain has to fill.

        Example
        -------
        >>> lost = torch.zeros(1, 8, 128, dtype=torch.bool)
        >>> lost[:, 2:4] = True
        >>> features = SegmentLogMagnitude("griffin-lim")
        >>> features.touched_samples(lost, 1024)[0].nonzero().aminmax()
        torch.return_types.aminmax(
        min=tensor(192),
        max=tensor(575))
        """
        frames = lost.all(dim=2)
        halves = F.pad(frames, (0, 1)) | F.pad(frames, (1, 0))
        touched = halves.repeat_interleave(HOP_LENGTH, dim=1)
        return touched[:, _MARGIN : _MARGIN + samples]

    def _check_mask(self, feats, lost):
        if lost.shape != feats.shape:
            raise UserError(
                f"mask: has the shape {tuple(lost.shape)}; expected "
                f"{tuple(feats.shape)}, segments, frames and channels"
            )

    def _waveform(self, spectrum, samples, lengths):
        wavs = overlap_add(spectrum, self.window)
        return mask_padding(wavs[:, _MARGIN : _MARGIN + samples], lengths)

    @torch.no_grad()
    def _estimate_phases(self, magnitudes):
        if self.phase == "lws":
            return local_weighted_sums(magnitudes, self.window, HOP_LENGTH)
        return fast_griffin_lim(
            magnitudes, self.window, HOP_LENGTH, self.iterations
        )

    @torch.no_grad()
    def _fit_phases(self, magnitudes, observed, known, guess=None):
        """Griffin-Lim's iterations, the observed bins being put back in each.

        Estimates from magnitudes alone would not do: they leave it open which
        way up the waveform is.
        """
        held, kept = known, observed
        # The damaged phases say nothing.
        spectrum = torch.where(known, observed, magnitudes.to(observed))
        if guess is not None:
            guess = magnitudes * unit_phases(guess)
            empty = ~known.any(dim=2, keepdim=True)
            spectrum = torch.where(empty, guess, spectrum)
            held = known | empty & ~_far_from(~empty, _GUESSED_FRAMES)
            kept = spectrum
        for _ in range(self.iterations):
            wavs = overlap_add(spectrum, self.window)
            phases = unit_phases(frame_spectrum(wavs, self.window, HOP_LENGTH))
            spectrum = torch.where(held, kept, magnitudes * phases)
        return spectrum

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end, in relative frames.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the batch's samples.
        samples, frames : int
            How many the batch has of each.

        Returns
        -------
        torch.Tensor
            [batch], relative to the batch's frames: a hop that has a sample of
            an utterance is the utterance's.

        Example
        -------
        >>> features = SegmentLogMagnitude("griffin-lim")
        >>> features.relative_frames(torch.tensor([1.0, 0.5]), 16384, 128)
        tensor([1.0000, 0.5000])
        """
        return ((lengths * samples).round() / HOP_LENGTH).ceil() / frames

    def lost_share(self, lost_samples, frames):
        """Say how much of every frame was lost.

        Arguments
        ---------
        lost_samples : torch.Tensor
            [batch, time], bool; True where a sample was lost.
        frames : int
            Frames of the features.

        Returns
        -------
        torch.Tensor
            [batch, frames], float32 in [0, 1]: the share of the window's weight
            that stood on lost samples.

        Example
        -------
        >>> lost = torch.arange(640)[None] >= 320
        >>> share = SegmentLogMagnitude("griffin-lim").lost_share(lost, 5)
        >>> [round(value, 2) for value in share[0].tolist()]
        [0.0, 0.0, 0.5, 1.0, 0.85]
        """
        moved = F.pad(lost_samples, (_MARGIN, 0))
        share = window_share(moved, self.window, HOP_LENGTH, frames + 1)
        return share[:, 1:]


def _far_from(marked, frames):
    """Find the frames that are more than so many from a marked one.

    Of [batch, frames, 1], True where marked.
    """
    wide = F.max_pool1d(
        marked.float().transpose(1, 2), 2 * frames + 1, 1, frames
    )
    return wide.transpose(1, 2) == 0


def _with_highest(lost):
    """The bin at 8 kHz shares the fate of the channel below it."""
    return torch.cat([lost, lost[..., -1:]], dim=2)
