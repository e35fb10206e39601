"""Rules that every Python file of the library follows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: A package imports only what stands before it; other modules import none.
IMPORT_ORDER = (
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
    "cli",
)
LIBRARY = sorted((ROOT / "speechbrain_ext").rglob("*.py"))
PROGRAMS = sorted((ROOT / "tools").rglob("*.py"))


def name_of(path):
    """Name a parametrised test after its file."""
    return str(path.relative_to(ROOT))


def imported_names(source):
    """List what a file imports, anywhere in it, as dotted names."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            # Relative ones would need resolving; the style has none.
            names.append("speechbrain_ext.<relative>")
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def misplaced_imports(source, package):
    """List the imports of a file that point down IMPORT_ORDER."""
    if package in IMPORT_ORDER:
        later = IMPORT_ORDER[IMPORT_ORDER.index(package) + 1 :]
    else:
        later = IMPORT_ORDER
    ours = [name.split(".") for name in imported_names(source)]
    ours = [parts[1] for parts in ours if parts[0] == "speechbrain_ext"]
    return [name for name in ours if name in (*later, "<relative>")]


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_follow_the_path_of_an_utterance(path):
    package = path.relative_to(ROOT / "speechbrain_ext").parts[0]
    package = package.removesuffix(".py")
    assert misplaced_imports(path.read_text(), package) == []


@pytest.mark.parametrize(
    ("package", "line", "found"),
    [
        ("corruption", "from speechbrain_ext.brains.base import X", ["brains"]),
        ("corruption", "from speechbrain_ext import brains", ["brains"]),
        ("errors", "import speechbrain_ext.corpora.mini", ["corpora"]),
        ("brains", "from ..cli import main", ["<relative>"]),
        ("brains", "from speechbrain_ext.corpora import mini", []),
        ("brains", "import speechbrain_ext.brains.base", []),
        ("corpora", "from speechbrain_ext.errors import UserError", []),
        ("corpora", "from other.brains import cli", []),
    ],
)
def test_misplaced_imports_are_found(package, line, found):
    source = f"def later():\n    {line}\n"
    assert misplaced_imports(source, package) == found


def missing_from_docstrings(source):
    """List what SpeechBrain's docstring style wants and a module lacks.

    SpeechBrain's own check wants a docstring for every module, class and
    public function, methods included. Its guide asks for the arguments and,
    for what users call, an example; here both are rules. The methods of
    private classes are free.
    """
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["module: docstring"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and is_public(node):
            found += _missing(node, arguments_of(node), needs_example=True)
        elif isinstance(node, ast.ClassDef):
            arguments = constructor_arguments(node) if is_public(node) else []
            found += _missing(node, arguments, needs_example=True)
            methods = node.body if is_public(node) else []
            for method in methods:
                if isinstance(method, ast.FunctionDef) and is_public(method):
                    arguments = arguments_of(method)
                    found += _missing(method, arguments, needs_example=False)
    return found


def _missing(node, arguments, needs_example):
    text = ast.get_docstring(node)
    if not text:
        return [f"{node.name}: docstring"]
    found = []
    if arguments:
        _, heading, section = text.partition("Arguments\n---------\n")
        section = re.split(r"\n\w+\n---+\n", section)[0]
        if not heading:
            found.append(f"{node.name}: Arguments")
        else:
            found += [
                f"{node.name}: {name}"
                for name in arguments
                if not re.search(rf"^[^:\n]*\b{name}\b", section, re.MULTILINE)
            ]
        if needs_example and "Example\n-------\n" not in text:
            found.append(f"{node.name}: Example")
    return found


def is_public(node):
    """Say whether a name is for users."""
    return not node.name.startswith("_")


def arguments_of(function):
    """Name a function's arguments, its own object left out."""
    parts = function.args
    names = [*parts.posonlyargs, *parts.args, *parts.kwonlyargs]
    names += [part for part in (parts.vararg, parts.kwarg) if part]
    return [part.arg for part in names if part.arg not in ("self", "cls")]


def constructor_arguments(node):
    """Name what a class is made from: __init__'s or a data class's fields."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return arguments_of(part)
    if any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
        return [
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign)
        ]
    return []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_docstrings_are_complete(path):
    missing = missing_from_docstrings(path.read_text())
    assert not missing, missing


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_programs_have_docstrings(path):
    missing = missing_from_docstrings(path.read_text())
    missing = [name for name in missing if name.endswith(": docstring")]
    assert not missing, missing


GOOD_DOCSTRINGS = '''
"""A module."""

class Gain:
    """Scale.

    Arguments
    ---------
    factor, offset : float
        Linear.

    Example
    -------
    >>> Gain(2.0)
    """

    def __init__(self, factor, offset):
        def local(x): ...

    def forward(self, wavs):
        """Apply.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time].
        """

    def _hidden(self, x): ...

def silence():
    """Return nothing."""
'''


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", []),
        ('"""A module."""', "", ["module: docstring"]),
        ('    """Return nothing."""', "    ...", ["silence: docstring"]),
        ("def silence():", "def silence(n):", 2),
        ("factor, offset : float", "factor : float", ["Gain: offset"]),
        ("Example\n", "Note\n", ["Gain: Example"]),
        ("wavs : torch", "feats : torch", ["forward: wavs"]),
        ("_hidden", "shown", ["shown: docstring"]),
        ("Gain:", "_Gain:", []),
    ],
)
def test_incomplete_docstrings_are_found(old, new, found):
    got = missing_from_docstrings(GOOD_DOCSTRINGS.replace(old, new, 1))
    assert (len(got) if isinstance(found, int) else got) == found
