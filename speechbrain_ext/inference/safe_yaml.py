"""A model's YAML file, read without running what it says.

HyperPyYAML calls any function that a file names. Here a file holds plain values
and ``!new:`` with a class of an exact table; whatever else is in it is refused
before anything is made.
"""

import inspect
import re
from pathlib import Path

import yaml

from speechbrain_ext.errors import UserError, brief
from speechbrain_ext.inference.allocation import limited_allocation
from speechbrain_ext.inference.classes import CLASSES, import_class

#: Of a file; ours have less than a thousand.
MAX_CHARACTERS = 65536
#: Values in a file, those behind an alias counted each time.
MAX_VALUES = 5000
#: Lists and mappings in each other.
MAX_DEPTH = 24
#: No setting of a model is a larger number.
MAX_NUMBER = 10**9

_NEW = "!new:"
_STANDARD = "tag:yaml.org,2002:"
_PLAIN_TAGS = {
    _STANDARD + name
    for name in ("str", "int", "float", "bool", "null", "seq", "map")
}
#: An argument of this name is another model's id on the hub.
_SOURCE = "source"
#: The key of a training set's file, which characters can be taken from.
_MANIFEST = "manifest"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also makes objects of the table's classes.

    Plain values are those of YAML 1.2, as HyperPyYAML reads them: ``1e-3`` is
    a number, ``no`` a word, and nothing is a date.
    """

    yaml_implicit_resolvers = {}
    yaml_constructors = dict(yaml.SafeLoader.yaml_constructors)
    yaml_multi_constructors = {}

    #: Set by :func:`load_yaml`.
    file = ""
    replaced = {}


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(
        _STANDARD + _name, re.compile(rf"^(?:{_pattern})$"), _first
    )


def _construct_int(loader, node):
    # PyYAML's own takes 010 for an octal number.
    return int(loader.construct_scalar(node))


_Loader.add_constructor(f"{_STANDARD}int", _construct_int)


def load_yaml(text, file, replaced=None):
    """Read a model's hyperparameters, and make the objects in them.

    Arguments
    ---------
    text : str
        YAML.
    file : str or Path
        Where it stands, for messages.
    replaced : dict, optional
        By the name of a class: the name of the one to make instead, and
        arguments to add.

    Returns
    -------
    dict
        What HyperPyYAML would make of it.

    Raises
    ------
    UserError
        With the line and the tag, for everything but plain values and
        ``!new:`` with a class of
        :data:`speechbrain_ext.inference.classes.CLASSES`; for aliases that
        blow a file up or contain themselves, keys that are given twice,
        numbers and files that are too large, a ``source`` that is no hub id,
        and arguments that a class does not take.

    Example
    -------
    >>> load_yaml("a: 1e-3", "model.yaml")
    {'a': 0.001}
    >>> load_yaml("a: !apply:os.system [ls]", "model.yaml")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model.yaml, line 1: !apply:os.system: ...
    """
    root = check_yaml(text, file)
    loader = _Loader("")
    loader.file, loader.replaced = file, replaced or {}
    try:
        return loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(file, error) from error
    finally:
        loader.dispose()


def check_yaml(text, file):
    """Check a model's hyperparameters, and make nothing of them.

    Arguments
    ---------
    text : str
        YAML.
    file : str or Path
        Where it stands, for messages.

    Returns
    -------
    yaml.MappingNode
        What is in it.

    Raises
    ------
    UserError
        As :func:`load_yaml` says, but for a class's arguments.

    Example
    -------
    >>> check_yaml("a: !!python/name:os.system", "model.yaml")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model.yaml, line 1: \
!!python/name:os.system: ...
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{file}: has {len(text)} characters; expected {MAX_CHARACTERS} at "
            "most"
        )
    try:
        root = yaml.compose(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(file, error) from error
    except RecursionError:
        raise UserError(
            f"{file}: lists and mappings in each other; expected {MAX_DEPTH} "
            "levels at most"
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{file}: expected keys and values, a model's settings")
    _check_node(root, file, {}, [])
    return root


def _unreadable(file, error):
    return UserError(f"{file}: not readable as YAML ({brief(error)})")


def _refusal(file, node, message):
    return UserError(f"{file}, line {node.start_mark.line + 1}: {message}")


def _check_node(node, file, sizes, above):
    """Check a node and all below it; returns how many values they are."""
    if node in above:
        raise _refusal(file, node, "an alias that contains itself")
    if node in sizes:
        return sizes[node]
    if len(above) > MAX_DEPTH:
        raise _refusal(
            file,
            node,
            f"lists and mappings in each other; expected {MAX_DEPTH} levels at "
            "most",
        )
    _check_tag(node, file)
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, file)
        below = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    else:
        _check_scalar(node, file)
        below = []
    above.append(node)
    size = 1
    for value in below:
        size += _check_node(value, file, sizes, above)
        if size > MAX_VALUES:
            raise _refusal(
                file,
                node,
                f"aliases and lists make more than {MAX_VALUES} values of it",
            )
    above.pop()
    sizes[node] = size
    return size


def _shown(tag):
    return tag.replace(_STANDARD, "!!")[:160]


def _check_tag(node, file):
    if node.tag in _PLAIN_TAGS:
        kind = node.tag.removeprefix(_STANDARD)
        wanted = {"seq": yaml.SequenceNode, "map": yaml.MappingNode}
        if not isinstance(node, wanted.get(kind, yaml.ScalarNode)):
            raise _refusal(file, node, f"!!{kind}: what follows is none")
        return
    tag = _shown(node.tag)
    if not tag.startswith(_NEW):
        raise _refusal(
            file,
            node,
            f"{tag}: not allowed in a model; expected plain values and !new:",
        )
    if tag.removeprefix(_NEW) not in CLASSES:
        raise _refusal(
            file,
            node,
            f"{tag}: not a class that models may name; a model of your own "
            "loads by from_hparams or --trust-model, which trust it",
        )
    if not isinstance(node, yaml.MappingNode) and node.value:
        raise _refusal(file, node, f"{tag}: expected its arguments by name")


def _check_keys(node, file):
    seen = set()
    for key, value in node.value:
        if key.tag != f"{_STANDARD}str":
            raise _refusal(
                file,
                key,
                f"a key of the kind {_shown(key.tag)}; expected a word",
            )
        if key.value in seen:
            raise _refusal(file, key, f"{key.value}: is given twice")
        seen.add(key.value)
        if not node.tag.startswith(_NEW):
            continue
        if key.value == _SOURCE:
            _check_source(value, file)
        if key.value == _MANIFEST:
            raise _refusal(
                file,
                key,
                f"{_MANIFEST}: names a training set; expected what a model "
                "takes from it (characters)",
            )


def _check_source(node, file):
    """A model may be built on another one of the hub, never on files here."""
    named = str(node.value)
    if not _HUB_ID.fullmatch(named) or ".." in named or Path(named).exists():
        raise _refusal(
            file,
            node,
            f"source {brief(named)}: expected a hub id, ORG/NAME; a model of "
            "your own that is built on a folder loads by from_hparams or "
            "--trust-model, which trust it",
        )


def _check_scalar(node, file):
    kind = node.tag.removeprefix(_STANDARD)
    if kind not in ("int", "float"):
        return
    try:
        fits = len(node.value) <= 32 and abs(float(node.value)) <= MAX_NUMBER
    except ValueError:
        fits = node.value.lower().lstrip("+-") == ".inf"
    if not fits:
        raise _refusal(
            file,
            node,
            f"{node.value[:32]}: expected a number up to {MAX_NUMBER}",
        )


def _make(loader, name, node):
    """Make an object of a class of the table."""
    named = {}
    if isinstance(node, yaml.MappingNode):
        named = loader.construct_mapping(node, deep=True)
    actual, more = loader.replaced.get(name, (name, {}))
    made = import_class(actual)
    named = {**named, **more}
    try:
        inspect.signature(made).bind(**named)
        with limited_allocation(enabled=_SOURCE not in named):
            return made(**named)
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        AssertionError,
        LookupError,
        AttributeError,
        RuntimeError,
        MemoryError,
    ) as error:
        reason = brief(f"{type(error).__name__}: {error}")
        raise _refusal(
            loader.file, node, f"{_NEW}{name}: cannot be made ({reason})"
        ) from error


_Loader.add_multi_constructor(_NEW, _make)
