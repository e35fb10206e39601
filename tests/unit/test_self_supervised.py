"""WavLM, wav2vec 2.0 and HuBERT, small and made on the spot."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from speechbrain_ext.backends import weights
from speechbrain_ext.backends.self_supervised import (
    LOBES,
    FrozenSelfSupervisedModel,
)
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.errors import UserError

KINDS = {
    "wavlm": (WavLMConfig, WavLMModel),
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "hubert": (HubertConfig, HubertModel),
}
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
#: As the base and the large models differ.
BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
NAMES = ["layer1", "layer2", "layer3"]


def save_model(folder, kind, sizes=BASE, **extractor):
    """Write a model's folder as the hub has it; the model itself."""
    config, model = KINDS[kind]
    torch.manual_seed(5)
    made = model(config(**SIZES, **sizes)).eval()
    made.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(**extractor).save_pretrained(folder)
    return made


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=["base", "large"])
def pair(request, kind, tmp_path_factory):
    """A model of ours, transformers' own, and whether it normalises."""
    folder = tmp_path_factory.mktemp(kind)
    large = request.param == "large"
    reference = save_model(
        folder, kind, LARGE if large else BASE, do_normalize=large
    )
    return FrozenSelfSupervisedModel(folder), reference, large


def represent(model, wavs, lengths, names=NAMES):
    return model.representations(wavs[..., None], torch.tensor(lengths), names)


def hidden_states(reference, wav, normalise):
    """Transformers' own, of one utterance."""
    if normalise:
        wav = F.layer_norm(wav, wav.shape)
    with torch.no_grad():
        outputs = reference(wav[None], output_hidden_states=True)
    # The first is what the convolutions gave, projected; the last is returned
    # before the large models' last normalisation.
    *_, first, second, _ = outputs.hidden_states
    return first, second, outputs.last_hidden_state


def test_layers_are_those_of_the_transformer(pair):
    model, reference, normalise = pair
    wavs = torch.randn(2, 6000)
    found = represent(model, wavs, [1.0, 1.0])
    for row, wav in enumerate(wavs):
        for x, y in zip(found, hidden_states(reference, wav, normalise)):
            torch.testing.assert_close(x[row], y[0], atol=1e-5, rtol=1e-4)


def test_an_utterance_does_not_depend_on_its_batch(pair):
    model, reference, normalise = pair
    wavs = torch.randn(2, 6000)
    found = represent(model, wavs, [1.0, 0.6])
    alone = hidden_states(reference, wavs[1, :3600], normalise)
    for x, y in zip(found, alone):
        frames = y.shape[1]
        torch.testing.assert_close(x[1, :frames], y[0], atol=1e-5, rtol=1e-4)
    relative = model.relative_frames(
        torch.tensor([1.0, 0.6]), 6000, found[0].shape[1]
    )
    counted = relative * found[0].shape[1]
    assert counted.round().tolist() == [found[0].shape[1], frames]


def test_names_are_answered_in_their_order(pair):
    wavs = torch.randn(1, 3000)
    one, other = (
        represent(pair[0], wavs, [1.0], names)
        for names in (NAMES, ["layer3", "layer1"])
    )
    assert torch.equal(one[2], other[0]) and torch.equal(one[0], other[1])


def test_it_is_frozen_and_gradients_reach_the_waveform(pair):
    model = pair[0]
    model.train()
    assert not any(module.training for module in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    wavs = torch.randn(2, 3000, requires_grad=True)
    represent(model, wavs, [1.0, 0.5])[2].square().sum().backward()
    assert wavs.grad[0].any() and wavs.grad[1, :1500].any()
    assert wavs.grad.isfinite().all() and not wavs.grad[1, 1500:].any()


def test_no_hook_is_left_behind(pair):
    represent(pair[0], torch.randn(1, 3000), [1.0])
    layers = pair[0].lobe.model.encoder.layers
    assert not any(layer._forward_hooks for layer in layers)


@pytest.mark.parametrize("samples", [1, 399, 400, 719, 720])
def test_the_shortest_utterance_has_a_frame(pair, samples):
    model = pair[0]
    wavs = torch.randn(1, samples)
    frames = represent(model, wavs, [1.0])[0].shape[1]
    assert frames == (2 if samples == 720 else 1)
    assert model.relative_frames(torch.ones(1), samples, frames) == 1


def test_ssl_mse_is_the_equation(pair):
    model, reference, normalise = pair
    clean, repaired = torch.randn(2, 1, 4000)
    batch = SimpleBatch(clean[..., None], repaired[..., None])
    criterion = RepresentationDistance(
        model, layer_weights="upper_half", power=2, weigh_first=True
    )
    # N = 3: floor(3 / 2) = 1 layer of weight 0, two of 1 / 2.
    one, other = (
        sum(hidden_states(reference, x[0], normalise)[1:]) / 2
        for x in (clean, repaired)
    )
    expected = (one - other).square().mean()
    torch.testing.assert_close(criterion(batch), expected[None])


class SimpleBatch:
    """What a representation distance looks at, all of full length."""

    def __init__(self, clean, repaired):
        self.clean, self.repaired = clean, repaired
        self.frame_lengths = torch.ones(len(clean))


def test_older_files_are_taken_where_no_safetensors_are(tmp_path, kind):
    reference = save_model(tmp_path, kind, do_normalize=False)
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    model = FrozenSelfSupervisedModel(tmp_path)
    wav = torch.randn(3000)
    found = represent(model, wav[None], [1.0])[2]
    torch.testing.assert_close(found, hidden_states(reference, wav, False)[2])


def test_weights_of_a_pretraining_model_are_taken(tmp_path):
    reference = save_model(tmp_path, "wav2vec2", do_normalize=False)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    save_file(
        {f"wav2vec2.{name}": value for name, value in state.items()},
        file,
        {"format": "pt"},
    )
    wav = torch.randn(3000)
    found = represent(FrozenSelfSupervisedModel(tmp_path), wav[None], [1.0])[2]
    torch.testing.assert_close(found, hidden_states(reference, wav, False)[2])


def test_a_hub_id_is_found_in_the_hubs_cache(tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--microsoft--wavlm-tiny"
    save_model(repository / "snapshots" / commit, "wavlm", do_normalize=False)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = FrozenSelfSupervisedModel("microsoft/wavlm-tiny")
    assert model.layers == tuple(NAMES)


@pytest.mark.parametrize("has", ["model.safetensors", "pytorch_model.bin"])
def test_pickles_are_downloaded_only_where_nothing_else_is(
    tmp_path, monkeypatch, has
):
    asked = []

    def snapshot_download(source, local_files_only=False, allow_patterns=()):
        if local_files_only:
            raise weights.LocalEntryNotFoundError("not cached")
        asked.append(allow_patterns[-1])
        return str(tmp_path)

    monkeypatch.setattr(weights, "snapshot_download", snapshot_download)
    monkeypatch.setattr(weights.constants, "is_offline_mode", lambda: False)
    (tmp_path / has).touch()
    weights.resolve("some/model", weights.SAFETENSORS_OR_PICKLES)
    expected = ["*.safetensors", "pytorch_model*.bin"]
    assert asked == (expected[:1] if has == "model.safetensors" else expected)


def refused(source):
    with pytest.raises(UserError) as error:
        FrozenSelfSupervisedModel(source)
    message = str(error.value)
    assert "\n" not in message and message.startswith(str(source))
    return message


def test_another_sampling_rate_is_refused(tmp_path):
    save_model(tmp_path, "wavlm", do_normalize=False, sampling_rate=8000)
    assert "takes 8000 Hz; expected a model of 16000 Hz" in refused(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    said = f"is a bert model; expected one of {', '.join(LOBES)}"
    assert said in refused(tmp_path)


def test_a_layer_that_the_weights_lack_is_named(tmp_path, kind):
    save_model(tmp_path, kind, do_normalize=False)
    file = tmp_path / "model.safetensors"
    state = {
        name: value
        for name, value in load_file(file).items()
        if "layers.2" not in name
    }
    save_file(state, file, {"format": "pt"})
    assert "its weights lack encoder.layers.2." in refused(tmp_path)


def test_a_truncated_file_is_refused(tmp_path, kind):
    save_model(tmp_path, kind, do_normalize=False)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])
    assert "cannot be loaded as a self-supervised model" in refused(tmp_path)


def test_a_folder_without_a_feature_extractor_is_refused(tmp_path):
    save_model(tmp_path, "wavlm", do_normalize=False)
    (tmp_path / "preprocessor_config.json").unlink()
    assert "cannot be loaded as a self-supervised model" in refused(tmp_path)


def test_a_model_that_is_nowhere_says_what_was_tried():
    message = refused("microsoft/wavlm-base-plus")
    assert "not found. Tried: the hub's cache" in message


def test_loading_is_quiet(tmp_path, capfd):
    save_model(tmp_path, "hubert", do_normalize=False)
    capfd.readouterr()
    FrozenSelfSupervisedModel(tmp_path)
    assert capfd.readouterr() == ("", "")
