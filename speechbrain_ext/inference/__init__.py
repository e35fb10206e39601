"""Pretrained interfaces."""

from speechbrain_ext.inference.fusion_asr import FusionASR
from speechbrain_ext.inference.generic_enhancer import GenericEnhancer
from speechbrain_ext.inference.inpainter import Inpainter
from speechbrain_ext.inference.loading import load
from speechbrain_ext.inference.packet_loss_asr import PacketLossASR
from speechbrain_ext.inference.perceptual_enhancer import PerceptualEnhancer
from speechbrain_ext.inference.robust_asr import RobustASR

__all__ = [
    "FusionASR",
    "GenericEnhancer",
    "Inpainter",
    "PacketLossASR",
    "PerceptualEnhancer",
    "RobustASR",
    "load",
]
