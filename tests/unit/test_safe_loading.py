"""Strangers' models: nothing in their files is run, and none reads outside."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from speechbrain.inference.interfaces import foreign_class
from torch.utils._python_dispatch import _len_torch_dispatch_stack

from speechbrain_ext import inference
from speechbrain_ext.audio import save_audio
from speechbrain_ext.cli import main
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.frontends.light_adapter import LightAdapter
from speechbrain_ext.inference.allocation import limited_allocation
from speechbrain_ext.inference.classes import CLASSES, INTERFACES, import_class
from speechbrain_ext.inference.loading import load, load_trusted
from speechbrain_ext.inference.safe_yaml import (
    MAX_VALUES,
    check_yaml,
    load_yaml,
)
from speechbrain_ext.weight_files import save_weights

FRONT_END = "!new:speechbrain_ext.frontends.identity.Identity"
PRETRAINER = "!new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer"
GOOD = f"""\
front_end: &front_end {FRONT_END}
modules:
    front_end: *front_end
pretrainer: {PRETRAINER}
    loadables:
        front_end: *front_end
"""
ADAPTER = GOOD.replace(
    FRONT_END,
    "!new:speechbrain_ext.frontends.light_adapter.LightAdapter\n"
    "    widths: [4, 8, 8]\n    dilations: [1]",
)


@pytest.fixture
def model(tmp_path):
    """A folder that loads, and a file outside that nobody may make."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(GOOD)
    (folder / "config.json").write_text(
        json.dumps({"interface": "speechbrain_ext.inference.GenericEnhancer"})
    )
    save_file({}, folder / "front_end.safetensors")
    return folder


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


def refused(model):
    """The one line that says why a model is not loaded."""
    with pytest.raises(UserError) as caught:
        load(model)
    message = str(caught.value)
    assert "\n" not in message
    assert _len_torch_dispatch_stack() == 0
    return message


def test_the_folder_that_the_hostile_ones_change_loads(model):
    enhancer = load(model)
    assert torch.equal(enhancer.enhance_signal(torch.ones(4)), torch.ones(4))


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (Path(self.file),)


# --- YAML that runs something

TOUCH = "[CANARY]"
#: What is added to a good file, and what the message must name.
HOSTILE = {
    "apply": ("x: !apply:pathlib.Path.touch " + TOUCH, "!apply:pathlib"),
    "apply of the shell": ("x: !apply:os.system [touch CANARY]", "!apply:os"),
    "applyref": ("x: !applyref:os.system [touch CANARY]", "!applyref:os"),
    "apply of a method": (
        "x: !apply:speechbrain.utils.distributed.os.system [touch CANARY]",
        "!apply:speechbrain.utils.distributed.os.system",
    ),
    "new of a function": ("x: !new:os.system [touch CANARY]", "!new:os.system"),
    "new through a module of ours": (
        "x: !new:speechbrain_ext.files.os.system [touch CANARY]",
        "!new:speechbrain_ext.files.os.system",
    ),
    "new of Popen": (
        "x: !new:subprocess.Popen [[touch, CANARY]]",
        "!new:subprocess.Popen",
    ),
    "new of an attribute of a class of the table": (
        f"x: {FRONT_END}.forward.__globals__",
        f"{FRONT_END}.forward.__globals__",
    ),
    "new of a class of ours that reads files": (
        "x: !new:speechbrain_ext.backends.labels.ManifestLabels\n"
        "    manifest: CANARY",
        "!new:speechbrain_ext.backends.labels.ManifestLabels",
    ),
    "characters of a file here": (
        "x: !new:speechbrain_ext.backends.units.CharacterSet\n"
        "    manifest: CANARY\n    size: 9",
        "manifest",
    ),
    "a recogniser that runs its own source's YAML": (
        "x: !new:speechbrain_ext.backends.speechbrain_recogniser."
        "SpeechBrainRecogniser\n    source: evil/model",
        "SpeechBrainRecogniser",
    ),
    "name": ("x: !name:os.system", "!name:os.system"),
    "module": ("x: !module:antigravity", "!module:antigravity"),
    "include": ("x: !include:CANARY", "!include:CANARY"),
    "ref": ("x: !ref <modules>", "!ref"),
    "ref that walks attributes": (
        "x: !ref <front_end.__class__.__init__.__globals__>",
        "!ref",
    ),
    "copy": ("x: !copy <front_end>", "!copy"),
    "tuple that hides a tag": (
        "x: !tuple (1, !!python/object/apply:os.system [touch CANARY])",
        "!tuple",
    ),
    "tag in a tuple of Python's": (
        "x: !!python/tuple [!!python/object/apply:os.system [touch CANARY]]",
        "!!python/tuple",
    ),
    "python object": (
        "x: !!python/object/apply:os.system [touch CANARY]",
        "!!python/object/apply:os.system",
    ),
    "python object, spelled out": (
        "x: !<tag:yaml.org,2002:python/object/apply:os.system> [touch CANARY]",
        "!!python/object/apply:os.system",
    ),
    "python name": ("x: !!python/name:os.system", "!!python/name:os.system"),
    "python module": ("x: !!python/module:os", "!!python/module:os"),
    "tag in an argument": (
        "x: !new:speechbrain_ext.features.log_magnitude.LogMagnitude\n"
        "    window_ms: !apply:os.system [touch CANARY]",
        "!apply:os.system",
    ),
    "tag of a key": ("? !!python/name:os.system\n: 1", "!!python/name"),
    "set": ("x: !!set {a, b}", "!!set"),
    "placeholder": ("x: !PLACEHOLDER", "!PLACEHOLDER"),
    "merge key": ("x:\n    !!merge <<: {a: 1}", "!!merge"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_yaml_that_runs_something_is_refused_by_its_tag(model, canary, kind):
    text, named = HOSTILE[kind]
    text = text.replace("CANARY", str(canary))
    (model / "hyperparams.yaml").write_text(f"{GOOD}{text}\n")
    message = refused(model)
    assert re.search("hyperparams.yaml, line [78]: ", message)
    assert named.replace("CANARY", str(canary)) in message
    assert not canary.exists()


def test_a_directive_gives_a_tag_no_other_name(model, canary):
    (model / "hyperparams.yaml").write_text(
        "%TAG !n! tag:yaml.org,2002:python/object/apply:\n---\n"
        + GOOD
        + f"x: !n!os.system [touch {canary}]\n"
    )
    assert "!!python/object/apply:os.system" in refused(model)
    assert not canary.exists()


@pytest.mark.parametrize("trusted", [False, True])
def test_the_canary_sings_where_a_model_is_trusted(model, canary, trusted):
    """What is refused does run with SpeechBrain's own loading."""
    (model / "hyperparams.yaml").write_text(
        f"{GOOD}x: !apply:os.system [touch '{canary}']\n"
    )
    if trusted:
        load_trusted(model)
    else:
        refused(model)
    assert canary.exists() == trusted


# --- YAML that takes too much

BOMB = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
LIGHT = "!new:speechbrain_ext.frontends.light_adapter.LightAdapter"
TOO_MUCH = {
    "alias bomb": (BOMB, f"more than {MAX_VALUES} values"),
    "an alias in itself": ("x: &x [*x]", "contains itself"),
    "a mapping in itself": ("x: &x {y: *x}", "contains itself"),
    "depth": ("x: " + "[" * 60 + "]" * 60, "levels"),
    "great depth": ("x: " + "[" * 20000 + "]" * 20000, "levels"),
    "many values": (f"x: [{', '.join('1' * (MAX_VALUES + 1))}]", "values"),
    "a large file": ("x: " + "a" * 70000, "hyperparams.yaml: has"),
    "a huge integer": ("x: " + "9" * 5000, "9999: expected a number"),
    "a large integer": ("x: 1000000001", "1000000001"),
    "a huge negative one": ("x: -1_0\ny: -99999999999", "-99999999999"),
    "a module larger than memory": (
        f"x: {LIGHT}\n    widths: [90000000, 8, 8]",
        f"{LIGHT}: cannot be made (MemoryError",
    ),
    "a duplicate key": ("modules: {}", "modules: is given twice"),
    "a key that is no word": ("1: 2", "expected a word"),
    "two documents": ("---\nx: 1", "hyperparams.yaml"),
    "no YAML": ("x: [", "hyperparams.yaml"),
    "control characters": ("x: \x00", "hyperparams.yaml"),
    "an unknown argument": (f"x: {FRONT_END}\n    evil: 1", FRONT_END),
    "arguments by place": (f"x: {FRONT_END} [1]", f"{FRONT_END}: expected"),
    "a list for a number": (
        f"x: {LIGHT}\n    widths: [[], [], []]",
        f"{LIGHT}: cannot be made",
    ),
    "run options": ("device: cuda:7", "device"),
    "compilation": ("compile: True", "compile"),
    "a normaliser": ("audio_normalizer: 1", "audio_normalizer"),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_yaml_that_takes_too_much_is_refused(model, kind):
    text, named = TOO_MUCH[kind]
    (model / "hyperparams.yaml").write_text(
        f"{text}\n{GOOD}" if kind == "alias bomb" else f"{GOOD}{text}\n"
    )
    message = refused(model)
    assert named in message and "hyperparams.yaml" in message
    assert len(message) < 700


def test_modules_without_end_are_refused():
    for make in (
        lambda: torch.zeros(1),
        lambda: torch.ones(()) + torch.ones(()),
        lambda: torch.empty(2**20),
    ):
        with pytest.raises(MemoryError), limited_allocation():
            while True:
                make()
    assert _len_torch_dispatch_stack() == 0


# --- Files


def test_pickled_weights_are_not_looked_at(model, canary):
    (model / "front_end.safetensors").unlink()
    for name in ("front_end.ckpt", "front_end.bin", "pytorch_model.bin"):
        (model / name).write_bytes(pickle.dumps(Bomb(str(canary))))
    assert "front_end.safetensors" in refused(model)
    assert not canary.exists()


def test_pickles_with_the_name_of_safetensors_are_refused(model, canary):
    file = model / "front_end.safetensors"
    file.write_bytes(pickle.dumps(Bomb(str(canary))))
    assert f"{file}: not readable as safetensors" in refused(model)
    torch.save({"weight": Bomb(str(canary))}, file)
    assert f"{file}: not readable as safetensors" in refused(model)
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "..", "a b", "", "~root", "a\\b"],
)
def test_weights_stand_in_the_folder_itself(model, name):
    save_file({}, model.parent / "secret.safetensors")
    (model / "hyperparams.yaml").write_text(
        GOOD.replace("        front_end:", f"        {json.dumps(name)}:")
    )
    message = refused(model)
    assert f"pretrainer: {name}: expected a module's name" in message


@pytest.mark.parametrize(
    "source",
    ["../secret", "/secret", "secret", ".", "a/../..", "secrets/own", "a/b/c"],
)
def test_no_model_is_built_on_a_folder_of_this_machine(
    model, random_whispers, monkeypatch, source
):
    """A Whisper stands in each of those places; its weights stay unread."""
    for name in ("secret", "secrets/own"):
        shutil.copytree(random_whispers[80], model.parent / name)
    monkeypatch.chdir(model.parent)
    if source == "/secret":
        source = str(model.parent / "secret")
    (model / "hyperparams.yaml").write_text(
        f"{GOOD}back_end: !new:speechbrain_ext.backends.whisper.FrozenWhisper\n"
        f"    source: {source}\n"
    )
    assert f"source {source}: expected a hub id" in refused(model)


@pytest.mark.parametrize("kind", ["value", "alias"])
def test_a_source_is_a_word(model, kind):
    value = {"value": "[a/b]", "alias": "*front_end"}[kind]
    (model / "hyperparams.yaml").write_text(
        f"{GOOD}back_end: !new:speechbrain_ext.backends.whisper.FrozenWhisper\n"
        f"    source: {value}\n"
    )
    assert "expected a hub id" in refused(model)


@pytest.mark.parametrize(
    "name", ["hyperparams.yaml", "config.json", "front_end.safetensors"]
)
def test_symbolic_links_out_of_the_folder_are_refused(model, name):
    secret = model.parent / "secret"
    (model / name).rename(secret)
    (model / name).symlink_to(secret)
    message = refused(model)
    assert f"{model / name}: a symbolic link out" in message
    (model / name).unlink()
    os.link(secret, model / name)
    assert load(model)


def test_a_folder_that_is_a_symbolic_link_itself_loads(model, tmp_path):
    (tmp_path / "link").symlink_to(model)
    assert load(tmp_path / "link")


def test_what_is_no_regular_file_is_refused(model):
    """Reading a pipe would wait forever."""
    (model / "front_end.safetensors").unlink()
    os.mkfifo(model / "front_end.safetensors")
    assert "front_end.safetensors: no regular file" in refused(model)


def test_links_in_the_hubs_cache_lead_to_its_own_blobs_only(model, tmp_path):
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / ("a" * 40)
    blobs = repo / "blobs"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in model.iterdir():
        shutil.copy(file, blobs / file.name)
        (snapshot / file.name).symlink_to(blobs / file.name)
    assert load(snapshot)
    (snapshot / "front_end.safetensors").unlink()
    (snapshot / "front_end.safetensors").symlink_to(
        model / "front_end.safetensors"
    )
    assert "a symbolic link out" in refused(snapshot)


def test_weights_of_another_module_are_refused(model):
    save_file({"w": torch.ones(1)}, model / "front_end.safetensors")
    assert "front_end.safetensors: does not fit" in refused(model)


@pytest.mark.parametrize(
    "interface",
    [
        "custom.Evil",
        "os.system",
        "speechbrain_ext.inference.load",
        "speechbrain_ext.inference.classes.GenericEnhancer",
        "GenericEnhancer",
        "speechbrain.inference.ASR.EncoderDecoderASR",
        ["speechbrain_ext.inference.GenericEnhancer"],
        {"a": 1},
        None,
    ],
)
def test_config_names_a_class_of_ours(model, canary, interface):
    (model / "custom.py").write_text(f"open({str(canary)!r}, 'w')")
    (model / "config.json").write_text(json.dumps({"interface": interface}))
    assert f"{model / 'config.json'}: interface" in refused(model)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "{}", "[" * 60000, "x" * 70000, '"\\ud800"']
)
def test_a_broken_config_is_named(model, text):
    (model / "config.json").write_text(text)
    assert str(model / "config.json") in refused(model)


def test_python_files_in_the_folder_are_not_imported(
    model, canary, monkeypatch
):
    """Nor what has the name of a module that loading imports."""
    for name in ("custom_interface", "custom", "interface", "sitecustomize"):
        (model / f"{name}.py").write_text(
            f"open({str(canary)!r}, 'w')\n"
            "from speechbrain_ext.inference import GenericEnhancer\n"
        )
    (model / "speechbrain_ext").mkdir()
    (model / "speechbrain_ext" / "__init__.py").write_text(
        f"open({str(canary)!r}, 'w')"
    )
    path = sys.path[:]
    assert load(model)
    assert sys.path == path
    assert not canary.exists()
    # Where the source is trusted it is.
    monkeypatch.setattr(sys, "path", path[:])
    foreign_class(
        str(model),
        pymodule_file="custom_interface.py",
        classname="GenericEnhancer",
    )
    assert canary.exists()


def test_hyperpyyaml_is_never_called(model, monkeypatch):
    import hyperpyyaml
    import hyperpyyaml.core

    def called(*_, **__):
        raise AssertionError("HyperPyYAML was called")

    for name in ("load_hyperpyyaml", "resolve_references"):
        monkeypatch.setattr(hyperpyyaml.core, name, called)
        monkeypatch.setattr(hyperpyyaml, name, called)
        monkeypatch.setattr(inference.model_folder, name, called, raising=False)
    monkeypatch.setattr(
        "speechbrain.inference.interfaces.load_hyperpyyaml", called
    )
    assert load(model)
    with pytest.raises(AssertionError, match="was called"):
        load_trusted(model)


# --- What is allowed


def test_every_class_of_the_tables_is_one_of_ours():
    for name in CLASSES:
        made = import_class(name)
        assert isinstance(made, type)
        assert f"{made.__module__}.{made.__qualname__}" == name
    for name, real in INTERFACES.items():
        made = import_class(real)
        assert getattr(inference, name.rpartition(".")[2]) is made
        assert set(made.MODULES_NEEDED) <= {"features", "front_end", "back_end"}


def test_every_interface_is_in_the_table():
    found = {
        f"speechbrain_ext.inference.{name}"
        for name in inference.__all__
        if isinstance(getattr(inference, name), type)
    }
    assert found == set(INTERFACES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5", 1.5),
        ("-7", -7),
        ("010", 10),
        (".5", 0.5),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("", None),
        ("null", None),
        ("'1'", "1"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("(1, 2)", "(1, 2)"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text, value):
    (found,) = load_yaml(f"x: {text}", "f").values()
    assert found == value and type(found) is type(value)


def test_an_alias_is_the_same_object(model):
    hparams = load_yaml(GOOD, "f")
    assert hparams["modules"]["front_end"] is hparams["front_end"]
    assert hparams["pretrainer"].loadables["front_end"] is hparams["front_end"]


def test_weights_are_loaded(model, tmp_path):
    (model / "hyperparams.yaml").write_text(ADAPTER)
    trained = LightAdapter(widths=[4, 8, 8], dilations=[1])
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    save_weights(model / "front_end.safetensors", trained)
    kept = tmp_path / "kept"
    loaded = load(model, savedir=kept).mods.front_end
    for name, tensor in trained.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert not any(p.requires_grad for p in loaded.parameters())
    assert {file.name for file in kept.iterdir()} == {
        "config.json",
        "hyperparams.yaml",
        "front_end.safetensors",
    }
    assert not any(file.is_symlink() for file in kept.iterdir())
    assert load(kept)


def test_run_options_are_speechbrains(model):
    assert load(model, run_opts={"device": "meta"}).device == "meta"


def test_a_backend_that_a_model_does_not_have_is_refused(model):
    with pytest.raises(UserError, match="has no recogniser"):
        load(model, backend="ctranslate2")
    with pytest.raises(UserError, match="backend evil"):
        load(model, backend="evil")


def test_a_model_of_a_class_needs_its_modules(model):
    (model / "config.json").write_text(
        json.dumps({"interface": "speechbrain_ext.inference.RobustASR"})
    )
    assert "no features; expected that of a RobustASR" in refused(model)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("    front_end: *front_end\npre", "    front_end: 1\npre", "modules"),
        ("modules:\n    front_end: *front_end\n", "modules: 1\n", "modules"),
        (PRETRAINER, FRONT_END.replace("identity.Identity", "x.X"), "x.X"),
        (PRETRAINER, "", "pretrainer"),
        ("        front_end: *front_end\n", "        a: 1\n", "pretrainer"),
    ],
)
def test_what_is_no_model_is_named(model, old, new, named):
    assert old in GOOD
    (model / "hyperparams.yaml").write_text(GOOD.replace(old, new))
    message = refused(model)
    assert "hyperparams.yaml" in message and named in message


def test_the_command_loads_strangers_models_safely(
    model, canary, tmp_path, repository
):
    """Exit status 2, one line, nothing run; unless the model is trusted."""
    save_audio(tmp_path / "in.wav", torch.randn(1600) / 10)
    (model / "hyperparams.yaml").write_text(
        f"{GOOD}x: !apply:os.system [touch '{canary}']\n"
    )

    def run(*more):
        return subprocess.run(
            [
                *(sys.executable, "-m", "speechbrain_ext.cli", "enhance"),
                *(tmp_path / "in.wav", tmp_path / "out.wav"),
                *("--model", model, *more),
            ],
            env={**os.environ, "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
        )

    found = run()
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert "!apply:os.system" in line
    assert not canary.exists() and not (tmp_path / "out.wav").exists()
    found = run("--trust-model")
    assert found.returncode == 0, found.stderr
    assert canary.exists() and (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("interface", INTERFACES)
def test_no_evaluation_runs_a_strangers_model(
    model, canary, tmp_path, capsys, interface
):
    """Whatever kind its config.json says that it is."""
    save_audio(tmp_path / "speech.wav", torch.randn(32000) / 10)
    row = {"ID": "a", "duration": 2.0, "wav": tmp_path / "speech.wav"}
    row |= {"spk_id": "s", "wrd": "one two", "noisy_wav": row["wav"], "snr": 5}
    write_manifest(tmp_path / "test.csv", [row])
    (model / "config.json").write_text(json.dumps({"interface": interface}))
    (model / "hyperparams.yaml").write_text(
        f"{GOOD}x: !apply:os.system [touch '{canary}']\n"
    )
    arguments = ["evaluate", "--model", model, "--data", tmp_path / "test.csv"]
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in (*arguments, "--out", tmp_path / "out")])
    assert stop.value.code == 2
    assert "!apply:os.system" in capsys.readouterr().err
    assert not canary.exists()


def test_checking_makes_nothing():
    assert check_yaml(GOOD, "f").value
    with pytest.raises(UserError, match="expected keys and values"):
        check_yaml("[1]", "f")


# --- Recipes

#: Its sources run their own YAML: such a model is for those who trust it.
UNSAFE = "!new:speechbrain_ext.backends.speechbrain_recogniser"


def exported_pieces(file):
    """The text of what a recipe's model is made of; None where it has none."""
    import io

    from hyperpyyaml import resolve_references
    from ruamel.yaml import YAML

    text = file.read_text().replace("!PLACEHOLDER", "placeholder")
    if not re.search(r"export\.export_(?!modules)", text) and (
        file.parts[-3] != "packet_loss"
    ):
        return None
    yaml = YAML()
    resolved = yaml.load(resolve_references(io.StringIO(text)).getvalue())
    names = ("features", "front_end", "back_end")
    if "units" in resolved and resolved["units"].pop("manifest", None):
        # As export_fusion_asr does.
        resolved["units"]["characters"] = "abc"
    out = io.StringIO()
    yaml.dump({name: resolved[name] for name in names if name in resolved}, out)
    return out.getvalue()


def test_what_recipes_export_can_be_published(repository):
    """The tables have every class that a recipe's model names."""
    pieces = {
        file: exported_pieces(file)
        for file in (repository / "recipes").glob("*/*/*/hparams/*.yaml")
    }
    unsafe = 0
    for file, text in pieces.items():
        if text is None:
            continue
        if UNSAFE in text:
            unsafe += 1
            with pytest.raises(UserError, match="SpeechBrainRecogniser"):
                check_yaml(text, file)
        else:
            assert check_yaml(text, file)
    assert unsafe == 2
    assert sum(text is not None for text in pieces.values()) > 20
