"""The image classifier's weights as a speechVGG's."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from speechbrain_ext.backends.image_vgg import SETTINGS, convert_image_vgg
from speechbrain_ext.backends.speech_vgg import SpeechVGG
from speechbrain_ext.errors import UserError

CHANNELS = [[2, 3], [4]]
SMALL = {"n_words": 2, "channels": CHANNELS, "dense": [1]}


def torchvision_layout():
    """Convolutions, ReLUs and pools in a row, as torchvision has them."""
    layers, before = [], 3
    for block in CHANNELS:
        for filters in block:
            layers += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU()]
            before = filters
        layers.append(nn.MaxPool2d(2))
    return nn.ModuleDict({"features": nn.Sequential(*layers)})


def test_a_spectrum_is_seen_as_a_grey_image(tmp_path):
    images = torchvision_layout()
    torch.save(images.state_dict(), tmp_path / "vgg.pth")
    folder = convert_image_vgg(tmp_path / "vgg.pth", tmp_path / "model", SMALL)
    model = SpeechVGG(**SMALL)
    model.load_state_dict(load_file(folder / "speech_vgg.safetensors"))
    feats = torch.randn(2, 128, 128)
    (found,) = model.representations(feats, torch.ones(2), ["pool2"])
    expected = images["features"](feats[:, None].repeat(1, 3, 1, 1))
    assert torch.allclose(found, expected.transpose(1, 2), atol=1e-5)


def test_the_settings_are_vgg_16_s():
    model = SpeechVGG(**SETTINGS)
    kernels = [p for p in model.blocks.parameters() if p.dim() == 4]
    assert len(kernels) == 13 and kernels[-1].shape == (512, 512, 3, 3)


@pytest.mark.parametrize("content", ["none", "text", "other", "list"])
def test_what_are_no_such_weights_is_refused(tmp_path, content):
    file = tmp_path / "vgg.pth"
    if content == "text":
        file.write_text("hello")
    elif content == "other":
        torch.save({"features.0.weight": torch.ones(2, 3, 3, 3)}, file)
    elif content == "list":
        torch.save([1, 2], file)
    with pytest.raises(UserError, match=r"vgg\.pth: not readable as VGG-16"):
        convert_image_vgg(file, tmp_path / "model", SMALL)
    assert not (tmp_path / "model").exists()
