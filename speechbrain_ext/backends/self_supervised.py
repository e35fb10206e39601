"""Self-supervised models of speech: WavLM, wav2vec 2.0 and HuBERT."""

import json
from contextlib import ExitStack

import torch
from safetensors import SafetensorError
from speechbrain.integrations.huggingface.hubert import HuBERT
from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
from speechbrain.integrations.huggingface.wavlm import WavLM
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.hugging_face import quiet, stored_names
from speechbrain_ext.backends.weights import SAFETENSORS_OR_PICKLES, resolve
from speechbrain_ext.errors import UserError, brief

#: SpeechBrain's lobe by what the model's config.json says it is.
LOBES = {"wavlm": WavLM, "wav2vec2": Wav2Vec2, "hubert": HuBERT}


class FrozenSelfSupervisedModel(Frozen, nn.Module):
    """What a self-supervised model's layers make of waveforms (eq. 1).

    A SpeechBrain lobe is inside, under ``lobe``. ``layer1`` to ``layerN`` are
    the outputs of the N transformer layers; what its convolutions give is none
    of them. The last one is what the encoder returns, which the large models
    normalise. An utterance's outputs do not depend on its batch: waveforms are
    normalised, where the model wants that, and convolved one by one, and
    padding is not attended to.

    Arguments
    ---------
    source : str
        A folder or a hub id (``microsoft/wavlm-base-plus``);
        :func:`speechbrain_ext.backends.weights.resolve` says where it is looked
        for.

    Raises
    ------
    UserError
        When it cannot be had, is another kind of model or of another sampling
        rate.

    Example
    -------
    >>> model = FrozenSelfSupervisedModel(
    ...     "microsoft/wavlm-base-plus"
    ... )  # doctest: +SKIP
    >>> model.layers  # doctest: +SKIP
    ('layer1', ..., 'layer12')
    """

    def __init__(self, source):
        super().__init__()
        self.source = str(source)
        self.lobe = _load(resolve(source, SAFETENSORS_OR_PICKLES), source)
        count = len(self.lobe.model.encoder.layers)
        #: Names of what :meth:`representations` returns.
        self.layers = tuple(f"layer{i + 1}" for i in range(count))
        self.freeze()

    def representations(self, feats, lengths, names):
        """Compute named layers' outputs.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms.
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, frames, channels], in the order of ``names``.
        """
        convolved, inside = self._convolve(feats[..., 0], lengths)
        projected = self.lobe.model.feature_projection(convolved)
        if isinstance(projected, tuple):
            # With what is quantised in training.
            projected = projected[0]
        found = {}
        with ExitStack() as stack:
            for name, layer in zip(self.layers, self.lobe.model.encoder.layers):
                if name in names:
                    hook = layer.register_forward_hook(_keep(found, name))
                    stack.callback(hook.remove)
            encoded = self.lobe.model.encoder(projected, attention_mask=inside)
        found[self.layers[-1]] = encoded.last_hidden_state
        return [found[name] for name in names]

    def _convolve(self, wavs, lengths):
        """[batch, frames, channels]; bool [batch, frames], None if all are."""
        extract = self.lobe.model.feature_extractor
        least = self._receptive_field()
        ends = (lengths * wavs.shape[1]).round().clamp(min=least).int().tolist()
        wavs = F.pad(wavs, (0, max(0, least - wavs.shape[1])))
        if min(ends) == wavs.shape[1]:
            return extract(self._normalise(wavs)).transpose(1, 2), None
        rows = [
            extract(self._normalise(wav[None, :end]))[0].T
            for wav, end in zip(wavs, ends)
        ]
        frames = torch.tensor([len(row) for row in rows], device=wavs.device)
        places = torch.arange(int(frames.max()), device=wavs.device)
        return pad_sequence(rows, True), places < frames[:, None]

    def _normalise(self, wavs):
        if not self.lobe.normalize_wav:
            return wavs
        return F.layer_norm(wavs, wavs.shape[1:])

    def _receptive_field(self):
        """Samples under the first frame."""
        samples, config = 1, self.lobe.model.config
        convolutions = zip(config.conv_kernel, config.conv_stride)
        for kernel, stride in reversed(list(convolutions)):
            samples = (samples - 1) * stride + kernel
        return samples

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end, in relative frames.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the batch's samples.
        samples, frames : int
            How many of each the batch has.

        Returns
        -------
        torch.Tensor
            [batch], relative to the batch's frames.
        """
        config = self.lobe.model.config
        own = (lengths * samples).round().clamp(min=self._receptive_field())
        for kernel, stride in zip(config.conv_kernel, config.conv_stride):
            own = (own - kernel) // stride + 1
        return own / frames


def _keep(found, name):
    def hook(module, inputs, output):
        """Keep what the layer gives."""
        found[name] = output[0] if isinstance(output, tuple) else output

    return hook


def _load(folder, source):
    """Load a lobe, and refuse what is not a whole model of a kind it takes."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind = config.get("model_type")
        if kind not in LOBES:
            raise UserError(
                f"{source}: is a {kind} model; expected one of "
                f"{', '.join(LOBES)}"
            )
        with quiet():
            lobe = LOBES[kind](
                str(folder), str(folder), freeze=True, output_all_hiddens=True
            )
        _check_weights(lobe, folder, source)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{source}: cannot be loaded as a self-supervised model "
            f"({brief(error)}); are its files whole?"
        ) from error
    rate = lobe.feature_extractor.sampling_rate
    if rate != SAMPLE_RATE:
        raise UserError(
            f"{source}: takes {rate} Hz; expected a model of {SAMPLE_RATE} Hz, "
            "whose frames are the other side's"
        )
    return lobe


def _check_weights(lobe, folder, source):
    """Transformers would fill gaps with random weights."""
    stored = {name.split("encoder.", 1)[-1] for name in stored_names(folder)}
    missing = {
        name
        for name in lobe.model.encoder.state_dict()
        # The positions' convolution has other names in older files.
        if name not in stored and "pos_conv_embed" not in name
    }
    if stored and missing:
        raise UserError(
            f"{source}: its weights lack encoder.{min(missing)}; expected a "
            f"whole {type(lobe.model).__name__}"
        )
