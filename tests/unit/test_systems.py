"""Several models in one evaluation, and front-ends in other Whispers."""

import json

import pytest
import torch

from speechbrain_ext import cli
from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss, SpanLoss
from speechbrain_ext.corruption.packet_loss import (
    FeaturePacketLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.results import BARE
from speechbrain_ext.evaluation.systems import load_systems, named_models
from speechbrain_ext.evaluation.word_errors import read_word_errors
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.frontends.light_adapter import LightAdapter
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.inference.export import transplant
from speechbrain_ext.weight_files import save_weights

TINY = "openai/whisper-tiny.en"

HYPERPARAMS = """\
# A comment.
features: &features !new:speechbrain_ext.features.whisper_log_mel.WhisperLogMel
    context: batch
front_end: &front_end
    !new:speechbrain_ext.frontends.light_adapter.LightAdapter
    widths: [8, 8, 8]
    dilations: {dilations}
back_end: &back_end !new:speechbrain_ext.backends.whisper.FrozenWhisper
    source: {source}
    language:
    beam_size: {beam_size}
packet_seconds: 0.02
zero_lost_frames: False
modules:
    features: *features
    front_end: *front_end
    back_end: *back_end
pretrainer: !new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer
    loadables:
        front_end: *front_end
"""


@pytest.fixture
def make_model(tmp_path, random_whispers):
    """Write a model's folder with a front-end that changes what it is given."""

    def make(
        name, dilations=(1,), beam_size=1, source=random_whispers[80], seed=0
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "hyperparams.yaml").write_text(
            HYPERPARAMS.format(
                dilations=list(dilations), beam_size=beam_size, source=source
            )
        )
        torch.manual_seed(seed)
        front_end = LightAdapter(widths=[8, 8, 8], dilations=list(dilations))
        torch.nn.init.normal_(front_end.exit.weight, std=0.1)
        save_weights(folder / "front_end.safetensors", front_end)
        return folder

    return make


@pytest.fixture
def damage():
    return WaveformPacketLoss(GilbertElliottLoss(), seed=0)


# --- Names


def test_models_have_their_own_or_their_folders_names(tmp_path):
    odd = tmp_path / "lr=0.1"
    odd.mkdir()
    assert named_models(tmp_path / "plc") == {"plc": str(tmp_path / "plc")}
    assert named_models(["CE+L1 (BTA)=a=b/model", "org/name", str(odd)]) == {
        "CE+L1 (BTA)": "a=b/model",
        "name": "org/name",
        "lr=0.1": str(odd),
    }


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "none given"),
        (["a/model", "b/model"], "a/model is named model as well"),
        (["x=a", "x=b"], "named x as well"),
        (["bare=a"], "other than bare"),
        (["=a"], "expected SOURCE or NAME=SOURCE"),
        (["a="], "expected SOURCE or NAME=SOURCE"),
    ],
)
def test_names_that_do_not_tell_models_apart(models, message):
    with pytest.raises(UserError, match=message):
        named_models(models)


# --- Systems


def test_bare_is_the_first_model_s_recogniser(make_model, damage):
    models = {"a": make_model("a"), "b": make_model("b", seed=1)}
    systems = load_systems(models, damage)
    assert list(systems) == [BARE, "a", "b"]
    assert systems[BARE].asr is systems["a"].asr
    assert not systems[BARE].front_end and systems["b"].front_end


def test_a_system_s_key_does_not_depend_on_the_others(make_model, damage):
    a, b = make_model("a"), make_model("b", dilations=(1, 2), seed=1)
    together = load_systems({"a": a, "b": b}, damage)
    turned = load_systems({"other": b, "name": a}, damage)

    def key(system):
        return system.fingerprint()

    assert key(together["a"]) == key(turned["name"])
    assert key(together["b"]) == key(turned["other"])
    # The same Whisper, whatever front-end stands before it.
    assert key(together[BARE]) == key(turned[BARE])
    assert len({key(system) for system in together.values()}) == 3


def test_settings_are_in_the_key_and_comments_are_not(make_model, damage):
    folder = make_model("a")

    def keys():
        systems = load_systems({"a": folder}, damage)
        return [systems[name].fingerprint() for name in (BARE, "a")]

    before = keys()
    file = folder / "hyperparams.yaml"
    file.write_text(file.read_text().replace("A comment", "Another"))
    assert keys() == before
    file.write_text(file.read_text().replace("beam_size: 1", "beam_size: 2"))
    assert not set(keys()) & set(before)


def test_each_model_must_suit_the_damage(make_model):
    models = {"a": make_model("a")}
    mel = FeaturePacketLoss(SpanLoss(), seed=0)
    with pytest.raises(UserError, match="zero_lost_frames"):
        load_systems(models, mel)


# --- A front-end in another Whisper


def test_a_front_end_moves_to_another_whisper(
    make_model, tmp_path, random_whispers
):
    source = make_model("a", source=TINY)
    transplant(source, str(random_whispers[80]), tmp_path / "bta")
    moved = PacketLossASR.from_hparams(str(tmp_path / "bta"))
    assert moved.mods.back_end.source == str(random_whispers[80])
    assert moved.mods.back_end.whisper.config.d_model == 16
    original = PacketLossASR.from_hparams(str(source)).mods.front_end
    for name, value in moved.mods.front_end.state_dict().items():
        assert torch.equal(value, original.state_dict()[name])
    config = json.loads((tmp_path / "bta" / "config.json").read_text())
    assert config["interface"].endswith("PacketLossASR")
    wavs = torch.randn(1, 16000)
    assert isinstance(moved.transcribe_batch(wavs, torch.ones(1))[0], str)


def test_a_long_path_stays_on_its_line(make_model, tmp_path, random_whispers):
    long = tmp_path / ("long-" * 20) / "whisper"
    long.parent.mkdir()
    long.symlink_to(random_whispers[80])
    source = make_model("a", source=TINY)
    transplant(source, str(long), tmp_path / "moved")
    text = (tmp_path / "moved" / "hyperparams.yaml").read_text()
    assert f"    source: {long}\n" in text


@pytest.mark.parametrize(
    ("language", "change", "message"),
    [
        (None, {}, r"mels-128: takes 128 mel bins; expected .* takes 80"),
        ("es", {"n": 80}, "knows English only"),
        (None, {"n": 80, "source": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(
    make_model, tmp_path, random_whispers, language, change, message
):
    source = change.get("source", make_model("a"))
    whisper = str(random_whispers[change.get("n", 128)])
    with pytest.raises(UserError, match=message) as refusal:
        transplant(source, whisper, tmp_path / "out", language)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_recipe_refuses_another_number_of_mel_bins(random_whispers):
    from speechbrain_ext.backends.whisper import FrozenWhisper
    from speechbrain_ext.brains.restoration import RestorationBrain

    back_end = FrozenWhisper(str(random_whispers[128]))
    with pytest.raises(UserError, match="mels-128: takes 128 mel bins"):
        RestorationBrain(
            front_end=LightAdapter(),
            features=WhisperLogMel(),
            criteria={"ce": WhisperCrossEntropy(back_end)},
            weights={"ce": 1.0},
            back_end=back_end,
            metric=None,
            run_opts={"device": "cpu"},
        )


# --- The command


@pytest.fixture
def manifest(tmp_path):
    """Two utterances of noise."""
    rows = []
    for number in range(2):
        wav = tmp_path / f"u{number}.wav"
        save_audio(wav, 0.1 * torch.randn(16000))
        rows.append(
            {
                "ID": wav.stem,
                "duration": 1.0,
                "wav": wav,
                "spk_id": "s",
                "wrd": "Hello there.",
            }
        )
    write_manifest(tmp_path / "noise.csv", rows)
    return tmp_path / "noise.csv"


def test_one_command_evaluates_several_models(
    make_model, manifest, tmp_path, capsys
):
    out = tmp_path / "out"
    a, b = make_model("a"), make_model("b", seed=1)
    c = make_model("c", dilations=(1, 2), seed=2)

    def evaluate(*models):
        cli.main(
            ["evaluate", "--data", str(manifest), "--out", str(out)]
            # Their Whisper is a folder of this machine.
            + ["--rates", "0.4", "--trust-model", "--model", *models]
        )
        rows = json.loads((out / "results.json").read_text())
        return [row["system"] for row in rows if row["metric"] == "wer"]

    assert evaluate(str(a), f"B={b}") == [BARE, "a", "B"]
    assert "| B: reduction %" in capsys.readouterr().out
    first = (out / "transcripts.jsonl").read_text()
    assert first.count("\n") == 3
    # One more system is decoded, and nothing twice; names do not matter.
    assert evaluate(f"A={a}", str(c), f"B={b}") == [BARE, "A", "c", "B"]
    lines = (out / "transcripts.jsonl").read_text()
    assert lines.startswith(first)
    added = [json.loads(line) for line in lines[len(first) :].splitlines()]
    assert [line["system"] for line in added] == ["c"]
    errors = read_word_errors(out / "errors.json")
    assert {row.system for row in errors} == {BARE, "A", "B", "c"}
    assert all(row.ids == ["u0", "u1"] for row in errors)
