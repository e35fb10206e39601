"""A model's card: its metadata, how it is loaded, and what its author wrote."""

import re
import shutil

import yaml
from huggingface_hub import ModelCard, ModelCardData

from speechbrain_ext.errors import UserError

CARD = "README.md"
_BEGIN = "<!-- made by speechbrain-ext publish -->"
_END = "<!-- the end of what it made -->"
_LIBRARY = "speechbrain"
#: A hand-written card says this before what is made goes in.
_BEFORE = ("## Results", "## Training", "## Limits")

_LOAD = """\
{begin}
{figure}{example}```python
from speechbrain_ext.inference import load

model = load("{repo}")
{call}
```

    {command}

`load` runs nothing of what is in this folder: its YAML names classes of
`speechbrain_ext` and plain values, its weights are safetensors.
`{interface}.from_hparams(source="{repo}")` and SpeechBrain's
`foreign_class(source="{repo}", pymodule_file="custom_interface.py",
classname="{interface}")` load it as well; both run the YAML file, as everywhere in
SpeechBrain, so they are for sources that you trust.
{end}
"""

_BODY = """\
# {name}

{summary}

## Results

{results}

## Training

{training}
"""

_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\(([^)\s]+)\)")


def read_card(folders):
    """Read the card that an author wrote, if there is one.

    Arguments
    ---------
    folders : sequence of Path
        Where it may be.

    Returns
    -------
    metadata : dict
        Of the card.
    body : str or None
        What is below the metadata.
    folder : Path or None
        Where the card is.

    Raises
    ------
    UserError
        When its metadata cannot be read.

    Example
    -------
    >>> from pathlib import Path
    >>> read_card([Path("nowhere")])
    ({}, None, None)
    """
    for folder in folders:
        file = folder / CARD
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8")
        head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        if head is None:
            return {}, text.strip() + "\n", folder
        try:
            metadata = yaml.safe_load(head[1]) or {}
        except yaml.YAMLError as error:
            raise UserError(
                f"{file}: metadata not readable as YAML ({error})"
            ) from error
        if not isinstance(metadata, dict):
            raise UserError(f"{file}: metadata: expected keys and values")
        return metadata, text[head.end() :].strip() + "\n", folder
    return {}, None, None


def make_card(metadata, body, name, eval_results):
    """Put a card together.

    Arguments
    ---------
    metadata : dict
        The author's and what was found out; ``model-index`` is made anew.
    body : str
        Markdown.
    name : str
        The model's, for its results.
    eval_results : list of EvalResult
        What the model reached.

    Returns
    -------
    str

    Example
    -------
    >>> print(make_card({"license": "mit"}, "# A model", "a", []))
    ---
    library_name: speechbrain
    license: mit
    ---
    <BLANKLINE>
    # A model
    <BLANKLINE>
    """
    kept = {
        key: value
        for key, value in metadata.items()
        if key != "model-index" and value not in (None, [], ())
    }
    data = ModelCardData(
        **{"library_name": _LIBRARY, **kept},
        model_name=name if eval_results else None,
        eval_results=eval_results or None,
    )
    head = data.to_yaml(line_break="\n")
    return str(ModelCard(f"---\n{head}\n---\n\n{body.strip()}\n"))


def new_body(name, kind, results, training):
    """Write the body of a card where its author wrote none.

    Arguments
    ---------
    name : str
        The model's.
    kind : Kind
        What it is.
    results : str
        A table.
    training : str
        How it was trained.

    Returns
    -------
    str

    Example
    -------
    >>> from speechbrain_ext.publishing.kinds import KINDS
    >>> new_body("a", KINDS["Inpainter"], "", "").splitlines()[0]
    '# a'
    """
    return _BODY.format(
        name=name, summary=kind.summary, results=results, training=training
    )


def complete_body(body, repo, interface, kind, figure, text):
    """Add to a card what every card has, in the place of what an earlier run did.

    Arguments
    ---------
    body : str
        Markdown.
    repo : str
        The model on the hub, ``ORG/NAME``.
    interface : str
        The class's name.
    kind : Kind
        What it is.
    figure : str or None
        A file of the folder that the card does not show yet.
    text : str or None
        What the model reads in the example.

    Returns
    -------
    str
        With how it is loaded, its limits and the paper.

    Example
    -------
    >>> from speechbrain_ext.publishing.kinds import KINDS
    >>> card = ("# A\\n", "a/b", "Inpainter", KINDS["Inpainter"], None, None)
    >>> body = complete_body(*card)
    >>> 'load("a/b")' in body and "## Limits" in body and "## Cite" in body
    True
    >>> complete_body(body, *card[1:]) == body
    True
    """
    body = re.sub(
        rf"\n*{re.escape(_BEGIN)}.*?{re.escape(_END)}\n*",
        "\n\n",
        body,
        flags=re.DOTALL,
    )
    example = "[`example.wav`](example.wav) is a recording to try it on"
    example += f": *{text}*\n\n" if text else ".\n\n"
    block = _LOAD.format(
        begin=_BEGIN,
        end=_END,
        figure=f"![Results]({figure})\n\n" if figure else "",
        example=example,
        repo=repo,
        interface=interface,
        call=kind.call,
        command=kind.command.format(repo=repo),
    )
    places = [body.find(f"\n{heading}\n") for heading in _BEFORE]
    place = next((place for place in places if place >= 0), len(body))
    body = f"{body[:place].rstrip()}\n\n{block}\n{body[place:].lstrip()}"
    if not re.search(r"^## Limit", body, re.MULTILINE):
        body = f"{body.rstrip()}\n\n## Limits\n\n{kind.limits}\n"
    if not re.search(r"^## Cit", body, re.MULTILINE):
        body = f"{body.rstrip()}\n\n## Cite\n\n{kind.citation}\n"
    return body.rstrip() + "\n"


def localise_links(body, card_folder, folder):
    """Let a card need nothing but the files beside it.

    Arguments
    ---------
    body : str
        Markdown.
    card_folder : Path
        Where its author's card is.
    folder : Path
        The hub folder; images go there.

    Returns
    -------
    str
        Pictures are beside it, and links to other files of the repository have
        become their names.

    Raises
    ------
    UserError
        When an image is missing.

    Example
    -------
    >>> from pathlib import Path
    >>> localise_links("See [it](../x/README.md).", Path("a"), Path("b"))
    'See it (`x/README.md`).'
    """

    def localise(match):
        """Name what a link leads to, or leave it."""
        bang, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path = target.partition("#")[0]
        file = card_folder / path
        if bang:
            if not file.is_file():
                raise UserError(
                    f"{card_folder / CARD}: {target}: no such image; expected "
                    "a file"
                )
            copy_new(file, folder / file.name)
            return f"![{text}]({file.name})"
        if "/" not in path and (file.exists() or (folder / path).exists()):
            return match[0]
        shown = re.sub(r"^(\.\./)+", "", path)
        return text if shown == text.strip("`") else f"{text} (`{shown}`)"

    return _LINK.sub(localise, body)


def copy_new(source, target):
    """Copy a file, unless another one is there.

    Arguments
    ---------
    source, target : Path
        From where and to where.

    Raises
    ------
    UserError
        When another file has the name.

    Example
    -------
    >>> from pathlib import Path
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_text("whole")
    >>> copy_new(folder / "a", folder / "b")
    >>> (folder / "b").read_text()
    'whole'
    """
    if target.exists() and target.read_bytes() != source.read_bytes():
        raise UserError(
            f"{source}: another {target.name} is published already; expected "
            "files with names that differ"
        )
    shutil.copyfile(source, target)
