"""What an enhancer makes of a corpus, for a recogniser that Kaldi trains."""

from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ext.features.kaldi_archive import kaldi_frames, write_archive
from speechbrain_ext.inference.export import unwrap

#: What ``--debug`` leaves of a split.
_DEBUG_UTTERANCES = 2


def write_enhanced_features(
    folder, datasets, modules, debug=False, progressbar=True
):
    """Write the enhanced features of each split as a Kaldi archive.

    Third step of paper 1's section III. They have the frames that Kaldi's own
    features of the same audio have, so that its alignments fit.

    Arguments
    ---------
    folder : str or Path
        Where to write ``SPLIT/feats.ark`` and ``SPLIT/feats.scp``.
    datasets : dict[str, DynamicItemDataset]
        By split's name; utterances with ``noisy`` recordings.
    modules : dict[str, torch.nn.Module]
        ``features``, a
        :class:`~speechbrain_ext.features.log_magnitude.LogMagnitude`, and
        ``front_end``, the enhancer.
    debug : bool
        Write two utterances of each split only, to see that all works.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    dict[str, Path]
        The archive's index for each split.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> modules = {
    ...     name: torch.nn.Identity() for name in ("features", "front_end")
    ... }
    >>> write_enhanced_features("kaldi", {}, modules)
    {}
    """
    indices = {}
    features = modules["features"]
    front_end = unwrap(modules["front_end"]).eval()
    for split, dataset in datasets.items():
        if debug:
            dataset = dataset.filtered_sorted(select_n=_DEBUG_UTTERANCES)
        with dataset.output_keys_as(["id", "spk_id", "noisy"]):
            utterances = tqdm(
                dataset, f"features of {split}", disable=not progressbar
            )
            _, indices[split] = write_archive(
                Path(folder) / split / "feats",
                (_enhance(row, features, front_end) for row in utterances),
            )
    return indices


@torch.no_grad()
def _enhance(utterance, features, front_end):
    """An utterance's ID, its speaker's and its features, as Kaldi has them."""
    whole = torch.ones(1)
    wavs = utterance["noisy"][None].to(next(front_end.parameters()).device)
    feats = front_end(features(wavs, whole), whole)[0]
    feats = kaldi_frames(
        feats, wavs.shape[1], features.window_length, features.hop_length
    )
    return utterance["id"], utterance["spk_id"], feats
