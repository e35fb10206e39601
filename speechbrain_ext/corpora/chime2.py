"""CHiME-2's medium vocabulary track: WSJ0 in the noise of a living room.

Vincent et al. (ICASSP 2013); distributed as LDC2017S10, without transcripts.
"""

import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from tqdm import tqdm

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    check_pairs,
    is_prepared,
    mark_prepared,
    newest,
)
from speechbrain_ext.corpora.wsj_transcripts import (
    read_wsj_transcripts,
    spoken_words,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write

#: The corpus's folders for each manifest: 7138 utterances, 410 and 330, the
#: latter two at each SNR.
SPLITS = {"train": "si_tr_s", "valid": "si_dt_05", "test": "si_et_05"}

#: Folders by SNR in dB.
SNRS = {"9dB": 9, "6dB": 6, "3dB": 3, "0dB": 0, "m3dB": -3, "m6dB": -6}

#: The digit that Kaldi's recipe puts behind an utterance's ID.
CONDITIONS = {
    "clean": "0",
    "reverberated": "1",
    **{folder: str(digit) for digit, folder in enumerate(SNRS, start=2)},
}
_SNR_OF_DIGIT = {CONDITIONS[folder]: snr for folder, snr in SNRS.items()}


def prepare_chime2(
    data_folder,
    save_folder,
    transcripts=None,
    reference="scaled",
    channel="left",
    splits=tuple(SPLITS),
):
    """Write manifests with a noisy and a reference recording in each row.

    The noisy recordings are
    ``chime2-wsj0/isolated/<split>/<SNR>/wsj0/<split>/<speaker>/<ID>.wav``; the
    references have the same paths in ``scaled`` (the reverberated speech as it
    is in the mixture), or are in ``reverberated/<split>``, without SNRs, for
    training and validation only. IDs are those of Kaldi's CHiME-2 recipe:
    WSJ0's ID and a digit for the condition (``440c020f7``: -6 dB), so that its
    alignments and back-end fit.

    Arguments
    ---------
    data_folder : str or Path
        ``chime2-wsj0``, or the folder that holds it or its ``data``.
    save_folder : str or Path
        Where to write the manifests.
    transcripts : str or Path, optional
        The WSJ0 corpus or another place that
        :func:`~speechbrain_ext.corpora.wsj_transcripts.read_wsj_transcripts`
        takes; ``data_folder`` when not given.
    reference : str
        ``"scaled"``, ``"reverberated"``, or another folder beside them.
    channel : str
        Of the stereo recordings. ``"left"`` or ``"right"``: one, copied to
        FLAC files in ``save_folder``; Kaldi's recipe takes the left one.
        ``"mean"``: both, averaged when they are read; nothing is copied.
    splits : sequence of str
        Of :data:`SPLITS`.

    Returns
    -------
    dict
        The manifest's Path for each split.

    Raises
    ------
    UserError
        When the folder has another layout or lacks an SNR; when a noisy
        recording has no reference, one of another length, or no transcript.

    Example
    -------
    >>> prepare_chime2("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no chime2-wsj0/isolated; ...
    """
    if channel not in ("left", "right", "mean"):
        raise UserError(f"channel: {channel!r}; expected left, right or mean")
    root = _find_root(Path(data_folder))
    source = Path(transcripts or data_folder)
    texts = read_wsj_transcripts(source)
    manifests = {}
    for split in splits:
        pairs = _find_pairs(root, SPLITS[split], reference)
        spoken = _find_texts(texts, pairs, source)
        manifest = Path(save_folder).absolute() / f"{split}.csv"
        settings = {
            "root": str(root),
            "reference": reference,
            "channel": channel,
            "utterances": len(pairs),
            "newest": newest(path for pair in pairs.values() for path in pair),
            "texts": zlib.crc32(repr(spoken).encode()),
        }
        if not is_prepared([manifest], settings):
            _prepare(pairs, spoken, channel, manifest)
            mark_prepared([manifest], settings)
        manifests[split] = manifest
    return manifests


def with_condition(utterance, condition):
    """Name the same utterance under another condition.

    Alignments, for example, are best made of clean speech.

    Arguments
    ---------
    utterance : str
        An ID of Kaldi's CHiME-2 recipe.
    condition : str or None
        Of :data:`CONDITIONS`; None: its own.

    Returns
    -------
    str
        The other ID.

    Raises
    ------
    UserError
        When there is no such condition.

    Example
    -------
    >>> with_condition("440c020f7", "clean")
    '440c020f0'
    """
    if condition is None:
        return utterance
    if condition not in CONDITIONS:
        raise UserError(
            f"condition: {condition!r}; expected null or one of "
            f"{', '.join(CONDITIONS)}"
        )
    return utterance[:-1] + CONDITIONS[condition]


def _find_root(data_folder):
    for below in (".", "chime2-wsj0", "data/chime2-wsj0"):
        if (data_folder / below / "isolated").is_dir():
            return (data_folder / below).resolve()
    raise UserError(
        f"{data_folder}: no chime2-wsj0/isolated; expected the layout of the "
        "CHiME-2 WSJ0 corpus, its archives unpacked"
    )


def _find_pairs(root, split, reference):
    """Map IDs to noisy recordings and their references."""
    clean = _find_references(root / reference / split)
    pairs = {}
    for snr in SNRS:
        folder = root / "isolated" / split / snr
        noisy = _find_wavs(folder)
        if not noisy:
            raise UserError(
                f"{folder}: no recordings; expected all SNRs, "
                f"{', '.join(SNRS)}, with their archives unpacked"
            )
        for utterance, wav in noisy.items():
            if utterance not in clean[snr]:
                raise UserError(
                    f"{wav}: no recording of the same name in {reference}"
                )
            pairs[utterance + CONDITIONS[snr]] = (wav, clean[snr][utterance])
    return dict(sorted(pairs.items()))


def _find_references(folder):
    """Map SNRs to clean recordings; "reverberated" has the same for all."""
    if any((folder / snr).is_dir() for snr in SNRS):
        return {snr: _find_wavs(folder / snr) for snr in SNRS}
    clean = _find_wavs(folder)
    if not clean:
        raise UserError(
            f"{folder}: no recordings; expected the reference of each noisy one"
        )
    return dict.fromkeys(SNRS, clean)


def _find_wavs(folder):
    """Map WSJ0's IDs to the recordings below a folder."""
    wavs = {}
    for wav in folder.rglob("*.wav"):
        # Copying from other systems leaves files such as ._011c0201.wav.
        if not wav.name.startswith("."):
            wavs[wav.stem.lower()] = wav
    return wavs


def _find_texts(texts, pairs, source):
    spoken = {
        utterance: spoken_words(texts.get(utterance[:-1], ""))
        for utterance in pairs
    }
    silent = [utterance for utterance, text in spoken.items() if not text]
    if silent:
        more = f" and {len(silent) - 1} more" if silent[1:] else ""
        raise UserError(
            f"{source}: no transcript of {silent[0][:-1]}{more}; expected the "
            "WSJ0 corpus with all of its *.dot files (transcripts: its folder)"
        )
    return spoken


def _prepare(pairs, spoken, channel, manifest):
    name = f"CHiME-2: {manifest.stem}"
    check_pairs([(clean, noisy) for noisy, clean in pairs.values()], name)
    durations = audio_durations([clean for _, clean in pairs.values()], name)
    if channel != "mean":
        pairs = _keep_channel(pairs, channel, manifest.with_suffix(""), name)
    rows = [
        {
            "ID": utterance,
            "duration": duration,
            "wav": clean,
            "noisy_wav": noisy,
            "snr": _SNR_OF_DIGIT[utterance[-1]],
            "spk_id": utterance[:3],
            "wrd": spoken[utterance],
        }
        for (utterance, (noisy, clean)), duration in zip(
            pairs.items(), durations
        )
    ]
    write_manifest(manifest, rows)


def _keep_channel(pairs, channel, folder, name):
    """Copy one channel of each recording; return the pairs of copies."""
    number = ("left", "right").index(channel)
    copies = {
        utterance: tuple(
            folder / f"{channel}-{kind}" / utterance[:3] / f"{utterance}.flac"
            for kind in ("noisy", "reference")
        )
        for utterance in pairs
    }
    jobs = [
        (wav, copy, number)
        for utterance in pairs
        for wav, copy in zip(pairs[utterance], copies[utterance])
    ]
    with ThreadPoolExecutor(16) as pool:
        bar = pool.map(lambda job: _copy_channel(*job), jobs)
        for _ in tqdm(bar, total=len(jobs), desc=name, unit="copies"):
            pass
    return copies


def _copy_channel(wav, copy, number):
    # As they are, in integers: going through floats changes the last bit.
    samples, rate = soundfile.read(wav, dtype="int16", always_2d=True)
    if number >= samples.shape[1]:
        raise UserError(f"{wav}: has one channel; expected stereo")
    audio = io.BytesIO()
    soundfile.write(audio, samples[:, number], rate, "PCM_16", format="FLAC")
    with atomic_write(copy) as temporary:
        temporary.write_bytes(audio.getbuffer())
