"""Speech enhancement for listeners and for whatever understands speech."""

from speechbrain_ext.inference.speech_enhancer import SpeechEnhancer


class GenericEnhancer(SpeechEnhancer):
    """A waveform front-end for many downstream tasks.

    The model of paper 3 (Sato et al., "Generic speech enhancement with
    self-supervised representation space loss", 2025). Load it with
    ``GenericEnhancer.from_hparams(source=FOLDER_OR_HUB_ID)``. Observation
    adding (equation 22) is ``observation``, beta in the paper: 0.1 helped all
    of its recognisers, speaker verification and intent classification; for
    listeners it stays 0.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them. The
        front-end takes waveforms: ``(wavs, lengths) -> wavs``.

    Example
    -------
    >>> import torch
    >>> from speechbrain_ext.frontends.identity import Identity
    >>> enhancer = GenericEnhancer({"front_end": Identity()}, hparams={})
    >>> enhancer.enhance_signal(torch.ones(3), observation=0.1)
    tensor([1., 1., 1.])
    """

    MODULES_NEEDED = ["front_end"]

    #: A read sentence is enhanced whole, as the paper does: the network's
    #: normalisation hears all of it, and its context reaches 10 s to each side.
    chunk_seconds = 40.0
    overlap_seconds = 2.0

    def enhance_whole(self, wavs, lengths):
        """Give waveforms to the network.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz, on the model's device.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        return self.mods.front_end(wavs, lengths)
