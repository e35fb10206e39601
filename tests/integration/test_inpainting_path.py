"""Masks, features, U-Net and deep feature loss on the one brain."""

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch

from speechbrain_ext.backends.speech_vgg import FrozenSpeechVGG
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.corruption.masks import BlockMasks, FeatureMask
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet


@pytest.fixture
def batch():
    return PaddedBatch(
        [
            {"id": name, "sig": 0.1 * torch.randn(16384), "wrd": ""}
            for name in ("a", "b")
        ]
    )


def make_brain(informed, filling, batch):
    vgg = FrozenSpeechVGG(4, [[4], [4], [4], [4], [4]], dense=[8])
    features = SegmentLogMagnitude("griffin-lim", iterations=4)
    features.fit([batch.sig])
    return RestorationBrain(
        front_end=InpaintingUNet(informed),
        features=features,
        criteria={
            "l1": FeatureDistance(),
            "deep": RepresentationDistance(vgg, vgg.pools),
        },
        weights={"l1": 1.0, "deep": 1.0},
        feature_damage=FeatureMask(BlockMasks(), 1, filling),
        valid_rate=0.3,
        opt_class=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        run_opts={"device": "cpu"},
    )


@pytest.mark.parametrize(
    ("informed", "filling"), [(True, "gaps"), (False, "additive")]
)
def test_a_step_of_training(batch, informed, filling):
    brain = make_brain(informed, filling, batch)
    brain.on_fit_start()
    brain.on_stage_start(sb.Stage.TRAIN, 1)
    kernels = [p for p in brain.modules.front_end.parameters() if p.dim() == 4]
    before = [p.detach().clone() for p in kernels]
    assert brain.fit_batch(batch).isfinite()
    assert set(brain.losses) == {"l1", "deep"}
    assert all(
        (new != old).any() for new, old in zip(kernels, before, strict=True)
    )


def test_the_mask_reaches_the_network_and_the_criteria(batch):
    brain = make_brain(True, "gaps", batch)
    brain.modules.eval()
    found = brain.compute_forward(batch, sb.Stage.VALID)
    assert found.lost.shape == found.clean.shape
    assert torch.equal(found.damaged != found.clean, found.lost > 0)
    blind = brain.modules.front_end(found.damaged, found.frame_lengths)
    assert not torch.equal(blind, found.repaired)
    assert found.repaired_waveforms().shape == (2, 16384)
