"""Noise and reverberation, added to waveforms while a recipe runs.

A damage of a waveform is called with (wavs, lengths, utterance_ids, epoch,
rate) and returns the damaged waveforms and which packets are lost: None here,
as nothing is.
"""

import functools
import math
import zlib

import torch
from scipy.fft import next_fast_len
from torch.nn.functional import pad
from torchaudio.functional import add_noise, fftconvolve

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.noise_files import (
    SILENT_RMS,
    NoiseCuts,
    find_noises,
)
from speechbrain_ext.corruption.randomness import (
    SeededDamage,
    utterance_generators,
)
from speechbrain_ext.errors import UserError


class _WaveformDamage(SeededDamage):
    """Applies what children do to one utterance to a batch of them."""

    def __call__(self, wavs, lengths, utterance_ids, epoch, rate=None):
        """Damage a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], in samples at 16 kHz.
        lengths : torch.Tensor
            [batch], relative to the longest.
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            How strong the damage is: the SNR in dB of :class:`AdditiveNoise`,
            ignored by :class:`Reverberation`. None draws one an utterance.

        Returns
        -------
        torch.Tensor
            The damaged waveforms, [batch, time]; padding is zero.
        None
            No packet is lost.
        """
        # Two damages of one seed would draw alike: the loudest noise would
        # always be in the same room.
        seed = int(self.seed) ^ zlib.crc32(self.name.encode()) << 32
        generators = utterance_generators(seed, epoch, utterance_ids)
        n_samples = torch.round(lengths.double() * wavs.shape[1]).int().tolist()
        damaged = torch.zeros_like(wavs)
        # One by one: sums over a padded batch depend on its width.
        for row, n, generator in zip(range(len(wavs)), n_samples, generators):
            if n > 0:
                damaged[row, :n] = self._damage(wavs[row, :n], generator, rate)
        return damaged, None


class AdditiveNoise(_WaveformDamage):
    """Noise at a signal-to-noise ratio over the utterance's own samples.

    Each utterance gets a random cut of a random recording; recording, cut and
    SNR are a function of the seed, the epoch and the utterance's ID. Recordings
    are read when they are first drawn and then stay in memory.

    Arguments
    ---------
    noises : str, Path or list
        A manifest of noises (``.csv`` with ``ID,duration,wav,kind``), a folder
        of audio files or a list of them, of any rate.
    snrs : sequence of float
        In dB, drawn from with equal chances.
    seed : int
        Seed of the damage.
    snr_range : tuple of (float, float), optional
        The lowest and the highest SNR in dB, in place of ``snrs``: drawn
        uniformly from between.
    repeat : bool
        Whether a recording that is shorter than the speech starts again at its
        end.

    Raises
    ------
    UserError
        When there are no SNRs; when called, where there are no noises, or for
        a recording that is silent or, without ``repeat``, shorter than the
        speech.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.audio import save_audio
    >>> file = f"{tempfile.mkdtemp()}/hiss.wav"
    >>> save_audio(file, 0.1 * torch.randn(16000))
    >>> damage = AdditiveNoise(file, snrs=[0, 5], seed=1)
    >>> wavs = torch.ones(1, 8000)
    >>> noisy, _ = damage(wavs, torch.ones(1), ["a"], epoch=0, rate=10)
    >>> 10 * torch.log10(1 / (noisy - wavs).square().mean())
    tensor(10.0000)
    """

    def __init__(self, noises, snrs=(), seed=0, snr_range=None, repeat=False):
        super().__init__(seed, "additive-noise")
        self.snrs = None if snr_range else _check_snrs("snrs", snrs)
        self.snr_range = snr_range and _check_snrs("snr_range", snr_range)
        if snr_range and not (
            len(snr_range) == 2 and snr_range[0] <= snr_range[1]
        ):
            raise UserError(
                f"snr_range: is {list(snr_range)}; expected the lowest and the "
                "highest SNR in dB"
            )
        self.noises = noises
        self.repeat = repeat

    @functools.cached_property
    def _cuts(self):
        # When they are first needed: a recipe's YAML file is read before its
        # corpus is made.
        return NoiseCuts(find_noises(self.noises), self.repeat)

    def _damage(self, wav, generator, rate):
        # Drawn in any case, so that each SNR is of the same noises.
        snr = self._draw_snr(generator)
        if rate is not None:
            (snr,) = _check_snrs("SNR", [rate])
        noise, _ = self._cuts.draw(len(wav), generator)
        snr = torch.tensor(snr, device=wav.device)
        return add_noise(wav, noise.to(wav), snr)

    def _draw_snr(self, generator):
        if self.snr_range:
            return float(generator.uniform(*self.snr_range))
        return self.snrs[int(generator.integers(len(self.snrs)))]


def _check_snrs(key, snrs):
    try:
        checked = [float(snr) for snr in snrs]
    except (TypeError, ValueError):
        checked = []
    if not checked or not all(map(math.isfinite, checked)):
        raise UserError(f"{key}: is {snrs}; expected numbers in dB")
    return checked


class Reverberation(_WaveformDamage):
    """Convolution with a room impulse response (RIR), drawn an utterance.

    The direct path, the RIR's largest sample, stays where it was, so that the
    result is aligned with the speech; its energy is the speech's.

    Arguments
    ---------
    rirs : str, Path or list
        A manifest (``.csv`` with ``ID,duration,wav,kind``), a folder of audio
        files or a list of them, of any rate.
    seed : int
        Seed of the damage.

    Raises
    ------
    UserError
        When there are no RIRs; when called, for one that is silent.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.audio import save_audio
    >>> file = f"{tempfile.mkdtemp()}/echo.wav"
    >>> save_audio(file, torch.tensor([0.0, 0.8, 0.0, 0.6]))
    >>> damage = Reverberation(file, seed=1)
    >>> wavs = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
    >>> reverberant, _ = damage(wavs, torch.ones(1), ["a"], epoch=0)
    >>> (reverberant.abs() + 1e-5).mul(10).round()
    tensor([[0., 8., 0., 6., 0.]])
    """

    def __init__(self, rirs, seed):
        super().__init__(seed, "reverberation")
        self.rirs = [row["wav"] for row in find_noises(rirs)]
        self._read = {}

    def _damage(self, wav, generator, rate):
        path = self.rirs[int(generator.integers(len(self.rirs)))]
        if path not in self._read:
            self._read[path] = _load_rir(path)
        rir = self._read[path].to(wav)
        direct = int(rir.abs().argmax())
        # Zeros up to a length that has a fast transform, six times as fast.
        n_samples = len(wav) + len(rir) - 1
        spare = next_fast_len(n_samples, real=True) - n_samples
        wet = fftconvolve(pad(wav, (0, spare)), rir)
        wet = wet[direct : direct + len(wav)]
        # Silent speech stays silent.
        energies = wav.norm() / wet.norm().clamp(min=1e-12)
        return wet * energies


def _load_rir(path):
    rir = load_audio(path)
    if rir.abs().max() < SILENT_RMS:
        raise UserError(f"{path}: is silent; expected an impulse response")
    return rir / rir.abs().max()


class DamageSequence:
    """Several damages of a waveform, one after the other.

    Arguments
    ---------
    damages : sequence of callable
        For example a :class:`Reverberation` and then :class:`AdditiveNoise`,
        or noise and then packet loss; one of them at most loses packets.

    Raises
    ------
    UserError
        When two of them lose packets, or there are none.

    Example
    -------
    >>> from speechbrain_ext.corruption.packet_loss import (
    ...     BernoulliLoss,
    ...     WaveformPacketLoss,
    ... )
    >>> damage = DamageSequence([WaveformPacketLoss(BernoulliLoss(), seed=1)])
    >>> damage.name
    'bernoulli'
    """

    def __init__(self, damages):
        self.damages = list(damages)
        losing = [each for each in self.damages if _loses_packets(each)]
        if not self.damages or len(losing) > 1:
            raise UserError(
                f"damages: {len(self.damages)} of them, {len(losing)} lose "
                "packets; expected some, and one at most that does"
            )
        self.name = "+".join(damage.name for damage in self.damages)
        #: Samples of a packet, where packets are lost.
        self.packet_samples = losing[0].packet_samples if losing else None

    def with_seed(self, seed):
        """Make the same damages with other seeds.

        Arguments
        ---------
        seed : int
            Seed of the first one; the others count on from it.

        Returns
        -------
        DamageSequence
            A copy.
        """
        return DamageSequence(
            damage.with_seed(seed + place)
            for place, damage in enumerate(self.damages)
        )

    def __call__(self, wavs, lengths, utterance_ids, epoch, rate=None):
        """Damage a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], in samples at 16 kHz.
        lengths : torch.Tensor
            [batch], relative to the longest.
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            For the last damage; the others draw theirs.

        Returns
        -------
        torch.Tensor
            The damaged waveforms, [batch, time].
        torch.Tensor or None
            bool [batch, packets], True where a packet is lost.
        """
        lost = None
        for damage in self.damages:
            last = damage is self.damages[-1]
            wavs, packets = damage(
                wavs, lengths, utterance_ids, epoch, rate if last else None
            )
            lost = packets if packets is not None else lost
        return wavs, lost


def _loses_packets(damage):
    return getattr(damage, "packet_samples", None) is not None
