"""Pretrained interfaces."""

from speechbrain_ext.inference.packet_loss_asr import PacketLossASR

__all__ = ["PacketLossASR"]
