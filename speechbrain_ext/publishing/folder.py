"""The complete folder that the hub gets of a model."""

import contextlib
import io
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from hyperpyyaml import resolve_references

from speechbrain_ext import __version__
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe, write_text
from speechbrain_ext.inference.loading import load
from speechbrain_ext.inference.model_files import ModelFiles
from speechbrain_ext.inference.model_folder import read_interface
from speechbrain_ext.inference.safe_yaml import MAX_CHARACTERS, check_yaml
from speechbrain_ext.publishing.card import (
    CARD,
    complete_body,
    copy_new,
    localise_links,
    make_card,
    new_body,
    read_card,
)
from speechbrain_ext.publishing.example import EXAMPLE, write_example
from speechbrain_ext.publishing.kinds import KINDS
from speechbrain_ext.publishing.results import (
    draw_results,
    eval_results,
    own_system,
    read_results,
)

_HYPERPARAMETERS = "hyperparams.yaml"
_FIGURE = "results.png"
_TOKENIZER = re.compile(
    r"tokenizer.*|vocab\..*|merges\.txt|special_tokens_map\.json"
    r"|added_tokens\.json|normalizer\.json"
)
_REFERENCE = re.compile(r"!(ref|copy)\b")
_CUSTOM = '''\
"""What SpeechBrain's foreign_class imports; load() does not look at it."""

from speechbrain_ext.inference import {interface}  # noqa: F401
'''


@dataclass(frozen=True)
class Publication:
    """What a person says of a model that is published.

    Arguments
    ---------
    repo : str
        ``ORG/NAME`` on the hub.
    license : str or None
        Of the weights, as the hub names it; None is what the card says, or
        Apache-2.0.
    language : list of str or None
        Codes; None is what the card or the model says.
    datasets : list of str or None
        What it was trained on; None is what the card or the training says.
    system : str or None
        Its name in results.json, if that is not plain.
    example : str or Path or None
        A recording to try it on.

    Example
    -------
    >>> Publication("me/model").name
    'model'
    """

    repo: str
    license: str | None = None
    language: list | None = None
    datasets: list | None = None
    system: str | None = None
    example: str | None = None

    @property
    def name(self):
        """str : The model's, without whose it is."""
        return self.repo.rpartition("/")[2]


def make_hub_folder(results_folder, publication, folder):
    """Write a complete hub folder, whole or not at all.

    Arguments
    ---------
    results_folder : str or Path
        A recipe's output folder, with ``model``, or a model's folder. An
        author's ``README.md`` there is kept and completed.
    publication : Publication
        What is said of the model.
    folder : str or Path
        The folder to make. It must be empty or absent.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        When there is no model, it holds what cannot be published (functions in
        its YAML, another model on this machine), no recording is there to try
        it on, or the folder cannot be written or is not empty.

    Example
    -------
    >>> make_hub_folder("nowhere", Publication("me/model"), "hub")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no model there; ...
    """
    results_folder, folder = Path(results_folder), Path(folder)
    model = _model_folder(results_folder)
    try:
        if folder.is_symlink() or (
            folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        ):
            raise UserError(
                f"{folder}: is there and not empty; expected a new folder"
            )
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        staged = Path(
            tempfile.mkdtemp(
                prefix=".publishing-", dir=folder.absolute().parent
            )
        )
        try:
            _fill(staged, results_folder, model, publication)
            for path in (staged, *staged.iterdir()):
                path.chmod(0o755 if path.is_dir() else 0o644)
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
            staged.rename(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: cannot be read or written: "
            f"{describe(error)}"
        ) from error
    return folder


def _model_folder(results_folder):
    for folder in (results_folder, results_folder / "model"):
        if all(
            (folder / name).is_file()
            for name in (_HYPERPARAMETERS, "config.json")
        ):
            return folder
    raise UserError(
        f"{results_folder}: no model there; expected a recipe's output folder "
        f"with model/{_HYPERPARAMETERS} and model/config.json, or a model's"
    )


def _fill(staged, results_folder, model, publication):
    interface = read_interface(ModelFiles(model))
    kind = KINDS[interface]
    sources = list(dict.fromkeys([model, results_folder]))
    settings = _write_model(staged, model, interface)
    write_example(staged / EXAMPLE, sources, interface, publication.example)
    rows = []
    for source in sources:
        file = source / "results.json"
        if not rows and file.exists():
            rows = read_results(file)
            shutil.copyfile(file, staged / file.name)
    names = [publication.system, publication.name]
    names += [_setting(results_folder, "system"), model.name]
    if publication.system not in (None, *(row["system"] for row in rows)):
        raise UserError(
            f"--system {publication.system}: not in results.json; expected one "
            "of its systems"
        )
    system = own_system(rows, [name for name in names if name])
    loaded = load(staged, run_opts={"device": "cpu"})
    text = None
    if hasattr(loaded, "transcribe_file"):
        text = loaded.transcribe_file(staged / EXAMPLE)
    metadata, body, card_folder = read_card(sources)
    if body is None:
        body = new_body(
            publication.name, kind, *_found_out(results_folder, rows, kind)
        )
    else:
        body = body.replace(_former_repo(model), publication.repo)
        body = localise_links(body, card_folder, staged)
    figure = _figure(staged, sources, body, rows, kind)
    body = complete_body(body, publication.repo, interface, kind, figure, text)
    card = make_card(
        _metadata(metadata, publication, kind, settings, results_folder),
        body,
        publication.name,
        eval_results(rows, system, kind),
    )
    write_text(staged / CARD, card)
    write_text(
        staged / "config.json",
        json.dumps(
            {
                "interface": f"speechbrain_ext.inference.{interface}",
                "speechbrain_ext_version": __version__,
                "repo": publication.repo,
            },
            indent=2,
        )
        + "\n",
    )


def _write_model(staged, model, interface):
    """Settings, weights and tokenizer; returns the settings, as plain values."""
    files = ModelFiles(model)
    text = files.read_text(_HYPERPARAMETERS, MAX_CHARACTERS)
    if _REFERENCE.search(text):
        # One's own file: what it says is computed now, and never again.
        text = resolve_references(io.StringIO(text)).getvalue()
    root = check_yaml(text, model / _HYPERPARAMETERS)
    write_text(staged / _HYPERPARAMETERS, text)
    # load() reads the one that is published.
    shutil.copyfile(files.find("config.json"), staged / "config.json")
    write_text(
        staged / "custom_interface.py", _CUSTOM.format(interface=interface)
    )
    names = [path.name for path in sorted(model.glob("*.safetensors"))]
    for name in names:
        shutil.copyfile(files.find(name), staged / name)
    settings = _plain(root)
    tokenizers = [model]
    source = _back_end(settings).get("source")
    if source is not None:
        tokenizers.append(resolve(source))
    for place in tokenizers:
        for path in sorted(place.iterdir()):
            if _TOKENIZER.fullmatch(path.name):
                if not (staged / path.name).exists():
                    copy_new(path, staged / path.name)
    return settings


def _plain(node):
    """A node's values, without the classes."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    return None if node.tag.endswith(":null") else node.value


def _back_end(settings):
    back_end = settings.get("back_end")
    return back_end if isinstance(back_end, dict) else {}


def _former_repo(model):
    """What the card calls the model until now."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return config.get("repo") or f"pretrained/{model.name}"


def _setting(results_folder, key):
    """A plain setting of the training, if the folder still says it."""
    file = results_folder / _HYPERPARAMETERS
    if not file.is_file():
        return None
    found = re.search(
        rf"^{key}: *([^#\n]*)", file.read_text(encoding="utf-8"), re.MULTILINE
    )
    return found and found[1].strip().strip("'\"") or None


def _found_out(results_folder, rows, kind):
    """The results and the training, where no author wrote of them."""
    results = "No results were published with it."
    table = results_folder / "results.md"
    if table.is_file():
        results = table.read_text(encoding="utf-8")
        # Its title is the card's section, and its figure is there already.
        results = re.sub(r"^# .*\n+|^!\[.*\n", "", results, flags=re.MULTILINE)
    elif rows:
        results = "`results.json` has them."
    training = [f"By {kind.citation}"]
    for key in ("seed", "number_of_epochs", "lr", "data_folder"):
        value = _setting(results_folder, key)
        if value and "/" not in value:
            training.append(f"{key}: {value}")
    return results.strip(), "; ".join(training)


def _metadata(metadata, publication, kind, settings, results_folder):
    """The author's, where no option says otherwise, and what can be known."""
    back_end = _back_end(settings)
    language = back_end.get("language") or "en"
    data = _setting(results_folder, "data_folder")
    dataset = Path(data).name.lower() if data else "mini-corpus"
    found = {
        "license": "apache-2.0",
        "language": language,
        "datasets": [dataset],
        "pipeline_tag": kind.task,
        "tags": list(kind.tags),
    }
    if back_end.get("source"):
        found["base_model"] = back_end["source"]
        trained = settings["pretrainer"]["loadables"]
        found["base_model_relation"] = (
            "finetune" if "back_end" in trained else "adapter"
        )
    said = {
        "license": publication.license,
        "language": publication.language,
        "datasets": publication.datasets,
    }
    said = {key: value for key, value in said.items() if value is not None}
    return {**found, **metadata, **said}


def _figure(staged, sources, body, rows, kind):
    """A figure that the card does not show yet."""
    if re.search(r"!\[[^\]]*\]\((?!results\.png)", body):
        return None
    for source in sources:
        pictures = sorted(source.glob("*.png"))
        if pictures:
            copy_new(pictures[0], staged / pictures[0].name)
            return pictures[0].name
    return _FIGURE if draw_results(staged / _FIGURE, rows, kind) else None
