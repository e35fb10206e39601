"""Audio, files and weights: what is read, what is refused, what survives."""

import contextlib
import errno
import itertools
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    strategies as st,
)

from speechbrain_ext import files
from speechbrain_ext.audio import load_audio, read_audio, save_audio
from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.files import atomic_write, cache_folder, describe
from speechbrain_ext.inference.model_folder import (
    SafetensorsPretrainer,
    check_model_folder,
)
from speechbrain_ext.inference.silence import silent_runs, split_at_pauses
from speechbrain_ext.weight_files import load_weights, save_weights


def message_of(error, path):
    """Return the one line, which begins with the file's name."""
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


def tone(rate, seconds=0.5, hertz=1000):
    return 0.5 * np.sin(
        2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate
    )


# Audio in


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_channel_count(tmp_path, rate, channels):
    file = tmp_path / "tone.wav"
    signal = tone(rate)
    # Channels of different levels, whose mean has the tone's own.
    levels = 2 * np.arange(1, channels + 1) / (channels + 1)
    soundfile.write(file, 0.5 * signal[:, None] * levels, rate, "FLOAT")
    loaded = load_audio(file)
    assert loaded.dtype == torch.float32
    assert abs(len(loaded) - 8000) <= 1
    # Resampling rounds the ends off.
    inside = slice(400, 7600)
    expected = torch.from_numpy(0.5 * tone(16000)[inside]).float()
    torch.testing.assert_close(loaded[inside], expected, atol=2e-3, rtol=0)


def test_read_audio_keeps_the_files_own_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(8000), 8000)
    signal, rate = read_audio(tmp_path / "a.wav")
    assert (len(signal), rate) == (4000, 8000)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_other_formats(tmp_path, name):
    soundfile.write(tmp_path / name, tone(16000), 16000)
    assert float(load_audio(tmp_path / name).abs().max()) > 0.4


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "DOUBLE"])
def test_any_sample_format_is_scaled_to_one(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone(16000), 16000, subtype)
    peak = float(load_audio(tmp_path / "a.wav").abs().max())
    assert peak == pytest.approx(0.5, abs=0.01)


def test_silence_is_valid(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(160), 16000)
    assert torch.equal(load_audio(tmp_path / "a.wav"), torch.zeros(160))


def write_nothing(file):
    pass


def write_folder(file):
    file.mkdir()


def write_empty(file):
    file.touch()


def write_text(file):
    file.write_text("This is not audio.\n" * 100)


def write_no_samples(file):
    soundfile.write(file, np.zeros(0), 16000)


def write_nan(file):
    samples = tone(16000)
    samples[77] = np.nan
    soundfile.write(file, samples, 16000, "FLOAT")


def write_infinity(file):
    """In one channel of two; the mean would be infinite too."""
    samples = np.zeros((100, 2))
    samples[7, 1] = -np.inf
    soundfile.write(file, samples, 16000, "FLOAT")


def write_header_alone(file):
    soundfile.write(file, tone(16000), 16000)
    file.write_bytes(file.read_bytes()[:30])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (write_nothing, "no such file; expected an audio file"),
        (write_folder, "no such file; expected an audio file"),
        (write_empty, "not a readable audio file"),
        (write_text, "not a readable audio file"),
        (write_no_samples, "holds no samples; expected audio"),
        (write_nan, "has NaN or infinite samples; expected finite audio"),
        (write_infinity, "has NaN or infinite samples; expected finite audio"),
        (write_header_alone, "not a readable audio file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_no_audio_is_refused(tmp_path, write, said):
    file = tmp_path / "speech.wav"
    write(file)
    with pytest.raises(UserError) as error:
        load_audio(file)
    assert said in message_of(error, file)


def test_headerless_audio_is_refused(tmp_path):
    file = tmp_path / "speech.raw"
    file.write_bytes(bytes(320))
    with pytest.raises(UserError) as error:
        load_audio(file)
    assert "not a readable audio file" in message_of(error, file)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    """Root may read everything, so the library's answer is made up."""
    file = tmp_path / "speech.wav"
    file.touch()

    def refuse(*arguments, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(soundfile, "read", refuse)
    with pytest.raises(UserError) as error:
        load_audio(file)
    assert "Permission denied" in message_of(error, file)


# Audio out


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "A.WAV"])
def test_saved_audio_is_16_bit(tmp_path, name):
    signal = torch.linspace(-0.9, 0.9, 1000)
    save_audio(tmp_path / name, signal)
    about = soundfile.info(tmp_path / name)
    assert (about.samplerate, about.channels) == (16000, 1)
    assert about.subtype == "PCM_16"
    assert (load_audio(tmp_path / name) - signal).abs().max() < 1 / 32768


def test_saved_audio_is_clipped_not_wrapped(tmp_path):
    save_audio(tmp_path / "a.wav", torch.tensor([1.5, -1.5, 1.0, -1.0]))
    loaded = load_audio(tmp_path / "a.wav").tolist()
    assert loaded == pytest.approx([1.0, -1.0, 1.0, -1.0], abs=1e-4)


def test_saving_takes_a_tensor_with_a_graph(tmp_path):
    save_audio(tmp_path / "a.wav", torch.zeros(10, requires_grad=True), 8000)
    assert soundfile.info(tmp_path / "a.wav").samplerate == 8000


@pytest.mark.parametrize("name", ["a", "a.txt", "a.mp3", "a.ogg", "a.raw"])
def test_a_suffix_that_cannot_be_written_is_named(tmp_path, name):
    """Neither 16 bits nor a header: refused before anything is written."""
    with pytest.raises(UserError) as error:
        save_audio(tmp_path / name, torch.zeros(10))
    assert "expected .wav or .flac" in message_of(error, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# Whole or not at all


@contextlib.contextmanager
def room_for(n_bytes):
    """Let no file grow beyond this size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_note(file):
    with atomic_write(file) as temporary:
        temporary.write_text("new" * 10000)


def write_audio(file):
    save_audio(file, torch.rand(20000))


def test_half_the_space_for_nearly_the_same_weights(tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    module, loaded = torch.nn.BatchNorm1d(4000), torch.nn.BatchNorm1d(4000)
    torch.nn.init.normal_(module.weight)
    save_weights(whole, module)
    save_weights(half, module, half=True)
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    load_weights(half, loaded)
    assert loaded.weight.dtype == torch.float32
    assert loaded.num_batches_tracked.dtype == torch.int64
    assert not torch.equal(loaded.weight, module.weight)
    torch.testing.assert_close(
        loaded.weight, module.weight, rtol=1e-3, atol=1e-6
    )


def write_model(file):
    save_weights(file, torch.nn.Linear(100, 100))


WRITERS = pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_note, "note.txt"),
        (write_audio, "speech.wav"),
        (write_audio, "speech.flac"),
        (write_model, "front_end.safetensors"),
    ],
)


@WRITERS
def test_a_full_disk_keeps_what_was_there(tmp_path, write, name):
    file = tmp_path / name
    file.write_text("old")
    with room_for(4096), pytest.raises(UserError) as error:
        write(file)
    message = message_of(error, file)
    assert "cannot be written: " in message and "File too large" in message
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@WRITERS
@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_late_failure_keeps_what_was_there(
    tmp_path, monkeypatch, write, name, function, code
):
    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    file = tmp_path / name
    file.write_text("old")
    monkeypatch.setattr(files.os, function, fail)
    with pytest.raises(UserError) as error:
        write(file)
    assert message_of(error, file).endswith(os.strerror(code))
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@WRITERS
def test_a_success_replaces_and_leaves_nothing_else(tmp_path, write, name):
    file = tmp_path / "new" / "folder" / name
    file.parent.mkdir(parents=True)
    file.write_text("old")
    write(file)
    assert file.read_bytes() != b"old"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_the_body_raises_passes_and_cleans_up(tmp_path, stop):
    file = tmp_path / "note.txt"
    file.write_text("old")
    with pytest.raises(stop):
        with atomic_write(file) as temporary:
            temporary.write_text("half")
            assert file.read_text() == "old"
            raise stop
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_folders_are_made_and_permissions_are_the_users(tmp_path):
    file = tmp_path / "new" / "folder" / "note.txt"
    before = os.umask(0o027)
    try:
        with atomic_write(file) as temporary:
            assert temporary.suffix == ".txt"
            assert temporary.parent == file.parent
            temporary.write_text("whole")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "note.txt"
    with pytest.raises(UserError) as error:
        write_note(file)
    assert "cannot be written" in message_of(error, file)


def test_a_name_that_is_too_long_is_told(tmp_path):
    file = tmp_path / ("n" * 300 + ".txt")
    with pytest.raises(UserError) as error:
        write_note(file)
    assert "File name too long" in message_of(error, file)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_nothing_but_files_is_replaced(tmp_path, make):
    """Renaming over /dev/null would take it away from the whole machine."""
    path = tmp_path / "special"
    make(path)
    kind = path.stat().st_mode
    with pytest.raises(UserError) as error:
        write_note(path)
    assert "not a regular file" in message_of(error, path)
    assert path.stat().st_mode == kind
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left"),
        (OSError("in its own words"), "in its own words"),
        (OSError(), "OSError"),
    ],
)
def test_describe(error, expected):
    assert describe(error).startswith(expected)


def test_the_cache_folder_is_where_its_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SPEECHBRAIN_EXT_CACHE", raising=False)
    assert cache_folder() == tmp_path / "home" / ".cache" / "speechbrain-ext"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "speechbrain-ext"
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", "named")
    assert cache_folder() == tmp_path / "named"


# The one line


def test_a_user_error_is_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise UserError("a.wav: no\n  such file")
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: a.wav: no such file\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), exit_on_user_error():
        raise KeyError("a bug")
    with pytest.raises(OSError), exit_on_user_error():
        raise OSError(errno.EBADF, "a bug")


def test_a_log_file_has_the_line_as_well(tmp_path, capsys):
    handler = logging.FileHandler(tmp_path / "log.txt")
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(SystemExit), exit_on_user_error():
            raise UserError("a.wav: no such file")
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert "a.wav: no such file" in (tmp_path / "log.txt").read_text()
    assert capsys.readouterr().err.count("no such file") == 1


PRINT_MUCH = """
from speechbrain_ext.errors import exit_on_user_error
with exit_on_user_error():
    for _ in range(20000):
        print("much to say")
"""


def run_program(program, **streams):
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        **streams,
    )


def test_output_to_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        process = run_program(PRINT_MUCH, stdout=full)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said == "error: output: No space left on device\n"


def test_a_reader_who_left_hears_no_complaint():
    process = run_program(PRINT_MUCH, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")


# Weights of a model


def other_weights(file):
    save_weights(file, torch.nn.Linear(3, 1))


def other_names(file):
    save_weights(file, torch.nn.Bilinear(2, 2, 1, bias=False))


def truncated(file):
    save_weights(file, torch.nn.Linear(2, 1))
    file.write_bytes(file.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (write_nothing, "is the file whole?"),
        (write_folder, "is the file whole?"),
        (write_empty, "is the file whole?"),
        (write_text, "is the file whole?"),
        (truncated, "is the file whole?"),
        (other_weights, "does not fit a Linear"),
        (other_names, "does not fit a Linear"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_weights_that_cannot_be_used_are_named(tmp_path, write, said):
    file = tmp_path / "front_end.safetensors"
    write(file)
    module = torch.nn.Linear(2, 1)
    before = module.weight.detach().clone()
    with pytest.raises(UserError) as error:
        load_weights(file, module)
    assert said in message_of(error, file)
    assert torch.equal(module.weight, before)


def test_weights_survive_a_round_trip(tmp_path):
    """Buffers too, and tensors that are views."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    module[0].weight.data = torch.randn(3, 2).T
    module[1].running_mean.normal_()
    save_weights(tmp_path / "a.safetensors", module)
    other = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    load_weights(tmp_path / "a.safetensors", other)
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_weights_of_another_class_are_converted_where_that_is_meant(tmp_path):
    """As CTranslate2's recogniser takes those of the one that was trained."""

    class Converts(torch.nn.Linear):
        converts_weights = True

        def load_state_dict(self, state):
            self.taken = state

    file = tmp_path / "other.safetensors"
    save_weights(file, torch.nn.Conv1d(1, 1, 3))
    module = Converts(1, 1)
    load_weights(file, module)
    assert module.taken["weight"].shape == (1, 1, 3)


def test_the_pretrainer_names_the_folder_that_lacks_weights(tmp_path):
    pretrainer = SafetensorsPretrainer({"front_end": torch.nn.Linear(2, 1)})
    with pytest.raises(UserError) as error:
        pretrainer.collect_files(default_source=str(tmp_path / "none"))
        pretrainer.load_collected()
    assert "front_end.safetensors" in str(error.value)
    assert str(tmp_path / "none") in str(error.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError) as error:
        check_model_folder(tmp_path)
    assert "no hyperparams.yaml" in message_of(error, tmp_path)
    text = "modules: {}\npretrainer: null\n"
    (tmp_path / "hyperparams.yaml").write_text(text)
    check_model_folder(tmp_path)
    with pytest.raises(UserError) as error:
        check_model_folder(tmp_path / "hyperparams.yaml")
    message_of(error, tmp_path / "hyperparams.yaml")


@pytest.mark.parametrize("source", ["nowhere", "no/where/at/all"])
def test_what_can_be_no_hub_id_is_refused(source):
    with pytest.raises(UserError) as error:
        check_model_folder(source)
    assert "expected a model's folder or a hub id" in message_of(error, source)


def test_what_can_be_a_hub_id_passes():
    check_model_folder("someone/a-model")


# Silence and pauses


def runs_by_hand(samples, min_samples):
    """The definition, run by run."""
    found = []
    for silent, run in itertools.groupby(samples, key=lambda x: x == 0):
        length = len(list(run))
        found += [silent and length >= min_samples] * length
    return found


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, -0.0, 1e-30, -0.5]), min_size=1),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 6),
)
def test_silent_runs_are_those_found_by_hand(rows, min_samples):
    shortest = min(len(row) for row in rows)
    rows = [row[:shortest] for row in rows]
    found = silent_runs(torch.tensor(rows), min_samples)
    assert found.dtype == torch.bool
    assert found.tolist() == [runs_by_hand(row, min_samples) for row in rows]


def test_a_packet_of_silence_is_found_to_the_sample():
    wav = torch.full((1, 3000), 0.01)
    wav[:, 1000:1320] = 0.0
    wav[:, 2000:2319] = 0.0
    found = silent_runs(wav, 320)[0].nonzero()[:, 0]
    assert found.tolist() == list(range(1000, 1320))


@st.composite
def signals_with_losses(draw):
    """Noise with pauses of any depth, and any packets lost."""
    n_samples = draw(st.integers(1, 60000))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    signal = 0.1 * torch.randn(n_samples, generator=generator)
    lost = torch.zeros(n_samples, dtype=torch.bool)
    spans = st.tuples(
        st.integers(0, n_samples),
        st.integers(0, 30000),
        st.sampled_from([0.0, 0.01, None]),
    )
    for start, length, gain in draw(st.lists(spans, max_size=5)):
        part = slice(start, start + length)
        if gain is None:
            lost[part] = True
            signal[part] = 0.0
        else:
            signal[part] *= gain
    return signal, lost


@given(signals_with_losses(), st.floats(0.1, 4.0))
def test_windows_cover_the_signal_once(signal_and_lost, window_seconds):
    signal, lost = signal_and_lost
    windows = split_at_pauses(signal, lost, window_seconds)
    assert windows[0][0] == 0 and windows[-1][1] == len(signal)
    for (_, end), (start, _) in zip(windows[:-1], windows[1:]):
        assert end == start
    longest = int(window_seconds * 16000)
    lengths = [end - start for start, end in windows]
    assert all(0 < length <= longest for length in lengths)
    # Windows but the last are cut in their last half, 10 ms more or less.
    assert all(length >= longest // 2 - 160 for length in lengths[:-1])


def test_the_cut_is_in_the_pause():
    signal = 0.1 * torch.randn(80000)
    signal[50000:56000] *= 0.01
    lost = torch.zeros(80000, dtype=torch.bool)
    (_, cut), (start, end) = split_at_pauses(signal, lost, 4.0)
    assert 50000 + 1600 <= cut <= 56000 - 1600
    assert (start, end) == (cut, 80000)


def test_lost_packets_are_no_pause():
    """A burst is more silent than any pause, and stands inside a word."""
    signal = 0.1 * torch.randn(80000)
    lost = torch.zeros(80000, dtype=torch.bool)
    lost[36000:44000] = True
    signal[lost] = 0.0
    signal[50000:56000] *= 0.01
    (_, cut), _ = split_at_pauses(signal, lost, 4.0)
    assert 50000 <= cut <= 56000


def test_what_stands_on_lost_samples_is_not_heard():
    """A receiver may leave anything there."""
    signal = 0.1 * torch.randn(80000)
    signal[50000:56000] *= 0.01
    lost = torch.zeros(80000, dtype=torch.bool)
    lost[52000:54000] = True
    signal[lost] = 1.0
    (_, cut), _ = split_at_pauses(signal, lost, 4.0)
    assert 51500 <= cut <= 54500


def test_a_wholly_lost_signal_is_still_cut():
    lost = torch.ones(80000, dtype=torch.bool)
    windows = split_at_pauses(torch.zeros(80000), lost, 2.0)
    assert windows[-1][1] == 80000
    assert max(end - start for start, end in windows) <= 32000


def test_thirty_seconds_are_one_window():
    signal, lost = torch.ones(480001), torch.zeros(480001, dtype=torch.bool)
    assert split_at_pauses(signal[:-1], lost[:-1]) == [(0, 480000)]
    assert len(split_at_pauses(signal, lost)) == 2
