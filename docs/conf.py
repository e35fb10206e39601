"""How `make docs` builds the pages.

Nothing is written twice: the recipes' and models' own READMEs, CONTRIBUTING.md and
the docstrings become pages below ``_pages``, which is made anew at every build.
"""

import inspect
import re
import shutil
import sys
from pathlib import Path

from sphinx.util import logging

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGES = HERE / "_pages"
sys.path.insert(0, str(ROOT))

project = "speechbrain-ext"
copyright = "the authors of speechbrain-ext"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
html_theme = "furo"
html_title = project
exclude_patterns = [".doctrees"]

# SpeechBrain's headings: Arguments, Returns, Raises, Example.
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
# A class's arguments stand in its docstring.
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__new__, __init__"}

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)

logger = logging.getLogger(__name__)


def markdown_pages():
    """Name the page that each Markdown file of the repository becomes.

    Returns
    -------
    dict
        The page's path below ``docs``, without a suffix, by the file.
    """
    pages = {
        ROOT / "README.md": "_pages/readme",
        ROOT / "CONTRIBUTING.md": "_pages/contributing",
    }
    for file in sorted((ROOT / "recipes").glob("*/*/*/README.md")):
        dataset, _, name = file.parent.relative_to(ROOT / "recipes").parts
        pages[file] = f"_pages/recipes/{dataset}-{name}"
    for file in sorted((ROOT / "pretrained").glob("*/README.md")):
        pages[file] = f"_pages/models/{file.parent.name}"
    for file in sorted(HERE.rglob("*.md")):
        pages.setdefault(file, str(file.relative_to(HERE).with_suffix("")))
    return pages


def new_link(file, bang, text, target, pages):
    """Give a link of a README its target in the documentation.

    Arguments
    ---------
    file : Path
        Where the link stands.
    bang : str
        ``"!"`` for an image.
    text : str
        What is shown.
    target : str
        Relative to the file, or an address.
    pages : dict
        As :func:`markdown_pages` gives them.

    Returns
    -------
    str
        Markdown. What is in the repository, but is no page, is only named.
    """
    path, hash_, anchor = target.partition("#")
    if "://" in target or not path:
        return f"{bang}[{text}]({target})"
    found = (file.parent / path).resolve()
    if found.is_dir() and (found / "README.md").is_file():
        found = found / "README.md"
    if not found.exists():
        logger.warning("%s: links to %s, which is not there", file, target)
    if found in pages:
        return f"{bang}[{text}](/{pages[found]}.md{hash_}{anchor})"
    if bang and found.is_relative_to(HERE):
        return f"![{text}](/{found.relative_to(HERE)})"
    return text


def write_pages(app=None):
    """Make the pages below ``_pages``.

    Arguments
    ---------
    app : sphinx.application.Sphinx or None
        What builds; not used.
    """
    shutil.rmtree(PAGES, ignore_errors=True)
    pages = markdown_pages()
    for file, page in pages.items():
        if not page.startswith("_pages/"):
            continue
        text = _FRONT_MATTER.sub("", file.read_text(encoding="utf-8"))

        def link(found, file=file):
            """Rewrite one link."""
            return new_link(file, *found.groups(), pages)

        _write(HERE / f"{page}.md", _LINK.sub(link, text))
    for package, modules in library().items():
        _write(PAGES / "api" / f"{package}.rst", api_page(package, modules))


def library():
    """List the library's modules.

    Returns
    -------
    dict
        Full names by package, in the order of the imports.
    """
    packages = {"speechbrain_ext": []}
    for folder in ORDER:
        packages[f"speechbrain_ext.{folder}"] = []
    for file in sorted((ROOT / "speechbrain_ext").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__init__":
            packages[".".join(parts[:-1])].append(".".join(parts))
    return packages


#: The packages along the path of an utterance.
ORDER = (
    "corpora",
    "corruption",
    "features",
    "frontends",
    "backends",
    "criteria",
    "brains",
    "metrics",
    "inference",
    "evaluation",
    "publishing",
)


def api_page(package, modules):
    """Write the page of a package.

    Arguments
    ---------
    package : str
        Its full name.
    modules : list of str
        Its modules'.

    Returns
    -------
    str
        reStructuredText.
    """
    parts = [_heading(package, "="), f".. automodule:: {package}\n"]
    for module in modules:
        parts += [_heading(module.rpartition(".")[2], "-")]
        parts += [f".. automodule:: {module}\n   :members:\n"]
    return "\n".join(parts)


def _heading(text, line):
    return f"{text}\n{line * len(text)}\n"


def _write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def skip_foreign(app, what, name, member, skip, options):
    """Leave out functions of others that a class here only refers to.

    Arguments
    ---------
    app : sphinx.application.Sphinx
        What builds.
    what, name : str
        The kind of thing whose member it is, and the member's name.
    member : object
        The member.
    skip : bool
        Whether it would be left out anyhow.
    options : object
        Of the directive.

    Returns
    -------
    bool or None
        True for those, None for all else.
    """
    foreign = not str(getattr(member, "__module__", "")).startswith(
        "speechbrain_ext"
    )
    return True if inspect.isroutine(member) and foreign else None


def setup(app):
    """Make the pages before Sphinx looks for them.

    Arguments
    ---------
    app : sphinx.application.Sphinx
        What builds.
    """
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", skip_foreign)
