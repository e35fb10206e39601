"""The blind set of the INTERSPEECH 2022 Audio Deep PLC Challenge.

Diener et al., "INTERSPEECH 2022 Audio Deep Packet Loss Concealment Challenge":
``lossy_signals/0.wav`` and so on, and for each the packets that a real call
lost, ``0_is_lost.txt``. Paper 0's Table 1 uses them as they are.
"""

import re
from pathlib import Path

import soundfile

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write

_TRACE = "_is_lost.txt"
_PACKETS_PER_SECOND = 50


def prepare_plc_challenge(data_folder, save_folder):
    """Write ``test.csv`` and, in ``traces/``, which packets were lost.

    The traces are found anywhere in the folder; a trace's audio has its name
    and stands beside it or in a folder whose name has ``lossy`` in it. What is
    said is in a file whose name begins with ``transcript``, one utterance a
    line: the audio file's name, a tab or a comma, the text.

    Arguments
    ---------
    data_folder : str or Path
        The challenge's folder.
    save_folder : str or Path
        Where to write the manifest and the traces.

    Returns
    -------
    manifests : dict
        The manifest's Path for ``"test"``.
    traces : Path
        The folder that :class:`~speechbrain_ext.corruption.loss_models.TraceLoss`
        takes.

    Raises
    ------
    UserError
        When there is no trace, no transcript, an audio file is missing, or a
        trace does not have a line for each 20 ms packet of its audio.

    Example
    -------
    >>> prepare_plc_challenge("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no trace *_is_lost.txt; \
expected the PLC challenge's layout
    """
    folder = Path(data_folder)
    found = sorted(folder.rglob(f"*{_TRACE}"), key=_in_order)
    if not found:
        raise UserError(
            f"{folder}: no trace *{_TRACE}; expected the PLC challenge's layout"
        )
    transcripts = _find_transcripts(folder)
    texts = _read_transcripts(transcripts)
    wavs = {_name(trace): _wav_of(trace, folder) for trace in found}
    untold = [name for name in wavs if name not in texts]
    if untold:
        raise UserError(
            f"{transcripts}: no text of {untold[0]}"
            f"{f' and {len(untold) - 1} more' if untold[1:] else ''}; "
            "expected one for each audio file"
        )
    save_folder = Path(save_folder).absolute()
    manifest, traces = save_folder / "test.csv", save_folder / "traces"
    settings = {
        "folder": str(folder.resolve()),
        "newest": newest([*found, *wavs.values(), transcripts]),
        "utterances": list(wavs),
    }
    if not is_prepared([manifest], settings):
        for trace in found:
            name = _name(trace)
            lines = _read_trace(trace, wavs[name])
            with atomic_write(traces / trace.name) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines))
        durations = audio_durations(list(wavs.values()), "PLC challenge")
        rows = [
            {
                "ID": name,
                "duration": duration,
                "wav": wav,
                "spk_id": name,
                "wrd": texts[name],
            }
            for (name, wav), duration in zip(
                wavs.items(), durations, strict=True
            )
        ]
        write_manifest(manifest, rows)
        mark_prepared([manifest], settings)
    return {"test": manifest}, traces


def _name(trace):
    return trace.name.removesuffix(_TRACE)


def _in_order(trace):
    """Numbered files in the order of their numbers."""
    name = _name(trace)
    return (int(name), "") if name.isdecimal() else (-1, name)


def _wav_of(trace, folder):
    name = f"{_name(trace)}.wav"
    beside = trace.with_name(name)
    if beside.is_file():
        return beside.resolve()
    for wav in sorted(folder.rglob(name)):
        if "lossy" in wav.parent.name.lower():
            return wav.resolve()
    raise UserError(
        f"{trace}: no {name} beside it or in a folder lossy_signals; expected "
        "the audio that the trace is of"
    )


def _read_trace(trace, wav):
    """A trace's lines, checked to be one for each packet of its audio."""
    lines = read_text(trace, "one 0 or 1 a line").split()
    try:
        info = soundfile.info(wav)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{wav}: not a readable audio file") from error
    whole, rest = divmod(info.frames * _PACKETS_PER_SECOND, info.samplerate)
    # A last packet that is not full may lack its line: it was received.
    if rest and len(lines) == whole:
        lines.append("0")
    packets = whole + bool(rest)
    if not packets <= len(lines) <= packets + 1:
        raise UserError(
            f"{trace}: {len(lines)} lines for {packets} packets of 20 ms in "
            f"{wav.name}; expected one line a packet (are its packets of "
            "another length?)"
        )
    return lines


def _find_transcripts(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.lower().startswith("transcript"):
            return path
    raise UserError(
        f"{folder}: no transcripts.txt; expected one line an audio file: its "
        "name, a tab, what is said"
    )


def _read_transcripts(path):
    texts = {}
    lines = read_text(path, "the PLC challenge's transcripts").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = re.split(r"\t|,", line, maxsplit=1)
        text = rest[0].strip().strip('"') if rest else ""
        if not text:
            raise UserError(
                f"{path}: line {number}: expected an audio file's name, a tab "
                "or a comma, and a text"
            )
        texts[name.strip().removesuffix(".wav")] = text
    return texts
