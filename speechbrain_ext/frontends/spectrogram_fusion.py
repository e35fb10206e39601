"""Mapping and masking, and the fusion of what both make of a spectrogram.

Shi et al., "Spectrograms fusion-based end-to-end robust automatic speech
recognition" (2021), paper 4.
"""

import torch
from speechbrain.nnet.RNN import LSTM
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding

#: What a recogniser can be given.
OUTPUTS = ("noisy", "mapping", "masking", "fusion")
#: Of log(1 + magnitude): far above any speech, so that exp() stays finite.
_LOUDEST = 7.0


class MappingMasking(nn.Module):
    """The enhancement module: a BLSTM with two heads (section III-A).

    One head gives the magnitudes themselves (mapping), the other a mask in
    (0, 1) that the noisy magnitudes are multiplied by (masking). Both read
    log(1 + magnitude), and the mapping head writes it; what they give are
    magnitudes, as in eq. 1 and 2. Utterances are packed: none depends on
    another or on padding.

    Arguments
    ---------
    n_bins : int
        Bins of the magnitudes; the paper: 257.
    hidden : int
        Nodes of each layer and direction; the paper: 512.
    n_layers : int
        The paper: 3.

    Example
    -------
    >>> module = MappingMasking(hidden=8)
    >>> outputs = module(torch.rand(2, 5, 257), torch.tensor([1.0, 0.6]))
    >>> {name: tuple(x.shape) for name, x in outputs.items()}
    {'mapping': (2, 5, 257), 'masking': (2, 5, 257)}
    """

    def __init__(self, n_bins=257, hidden=512, n_layers=3):
        super().__init__()
        self.blstm = LSTM(
            hidden, input_size=n_bins, num_layers=n_layers, bidirectional=True
        )
        self.mapping = nn.Linear(2 * hidden, n_bins)
        self.masking = nn.Linear(2 * hidden, n_bins)
        # Most of a spectrogram is nearly silent.
        nn.init.constant_(self.mapping.bias, -2.0)

    def forward(self, feats, lengths):
        """Enhance magnitudes twice.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], noisy magnitudes.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        dict[str, torch.Tensor]
            ``"mapping"`` and ``"masking"``, magnitudes [batch, frames, bins],
            zero past an utterance's end.
        """
        frames = feats.shape[1]
        ends = (lengths * frames).round().clamp(min=1)
        # Packing rounds down.
        states, _ = self.blstm(feats.log1p(), lengths=(ends + 0.25) / frames)
        # Packed as far as the longest utterance of the batch reaches.
        states = F.pad(states, (0, 0, 0, frames - states.shape[1]))
        logs = F.softplus(self.mapping(states).float()).clamp(max=_LOUDEST)
        masks = self.masking(states).float().sigmoid()
        return {
            "mapping": mask_padding(logs.expm1(), lengths),
            "masking": mask_padding(masks * feats, lengths),
        }


class MinimumDifferenceMasks(nn.Module):
    """The fusion module: which of two spectrograms is nearer (section III-B).

    Fully connected layers that read the noisy, the mapped and the masked frame
    as log(1 + magnitude), and estimate two minimum difference masks.

    Arguments
    ---------
    n_bins : int
        Bins of the magnitudes; the paper: 257.
    hidden : int
        Nodes of each layer; the paper: 512.
    n_layers : int
        Hidden layers; the paper: 3.

    Example
    -------
    >>> module = MinimumDifferenceMasks(hidden=8)
    >>> noisy = mapping = masking = torch.rand(2, 5, 257)
    >>> [masks.shape for masks in module(noisy, mapping, masking)]
    [torch.Size([2, 5, 257]), torch.Size([2, 5, 257])]
    """

    def __init__(self, n_bins=257, hidden=512, n_layers=3):
        super().__init__()
        layers, width = [], 3 * n_bins
        for _ in range(n_layers):
            layers += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, 2 * n_bins))

    def forward(self, noisy, mapping, masking):
        """Estimate the masks.

        Arguments
        ---------
        noisy, mapping, masking : torch.Tensor
            [batch, frames, bins], magnitudes.

        Returns
        -------
        tuple of torch.Tensor
            [batch, frames, bins] in (0, 1): the mask of ``mapping`` and that of
            ``masking``.
        """
        x = torch.cat([noisy, mapping, masking], dim=2).log1p()
        return self.layers(x).float().sigmoid().chunk(2, dim=2)


class SpectrogramFusion(nn.Module):
    """Mapping, masking and their fusion as one front-end (section III).

    Arguments
    ---------
    enhancement : MappingMasking
        The enhancement module.
    fusion : MinimumDifferenceMasks, optional
        The fusion module; without it there is no output ``"fusion"``.
    output : str
        What a recogniser is given, and what is judged: one of ``OUTPUTS``.
    frozen_enhancement : bool
        Whether the enhancement module stays as it is: the fusion module is
        pre-trained behind it.

    Raises
    ------
    UserError
        When there is no such output.

    Example
    -------
    >>> front_end = SpectrogramFusion(
    ...     MappingMasking(hidden=8), MinimumDifferenceMasks(hidden=8)
    ... )
    >>> outputs = front_end(torch.rand(1, 5, 257), torch.ones(1))
    >>> list(outputs)
    ['noisy', 'mapping', 'masking', 'mapping mask', 'masking mask', 'fusion']
    """

    def __init__(
        self,
        enhancement,
        fusion=None,
        output="fusion",
        frozen_enhancement=False,
    ):
        super().__init__()
        #: What can be asked for.
        self.outputs = OUTPUTS if fusion is not None else OUTPUTS[:-1]
        if output not in self.outputs:
            raise UserError(
                f"output: {output!r}; expected one of {', '.join(self.outputs)}"
            )
        self.enhancement = enhancement
        self.fusion = fusion
        self.output = output
        if frozen_enhancement:
            enhancement.requires_grad_(False)

    def forward(self, feats, lengths, lost=None):
        """Enhance and fuse magnitudes.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], noisy magnitudes.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            Not used.

        Returns
        -------
        dict[str, torch.Tensor]
            [batch, frames, bins] each: the magnitudes by the names of
            ``outputs``, with the fusion of eq. 5, and the minimum difference
            masks ``"mapping mask"`` and ``"masking mask"``.
        """
        outputs = {"noisy": feats, **self.enhancement(feats, lengths)}
        if self.fusion is None:
            return outputs
        masks = self.fusion(feats, outputs["mapping"], outputs["masking"])
        outputs["mapping mask"], outputs["masking mask"] = masks
        outputs["fusion"] = (
            masks[0] * outputs["mapping"] + masks[1] * outputs["masking"]
        )
        return outputs
