#!/usr/bin/env python3
"""Copy a recipe into a checkout of SpeechBrain, where it runs without this package.

    python tools/export_upstream.py recipes/LibriSpeech/ASR/packet_loss \\
        --to ../speechbrain

The modules that the recipe imports, directly or not, go with it, each package to the
place that ``PLACES`` names; names are rewritten in Python, in YAML and in the README,
files that a YAML file includes are put in its text. Rows of ``tests/recipes`` are
added to the checkout's table. What their debug flags name by environment variables is
made there by a script of ``tests/recipes/setup``, which SpeechBrain's recipe tests
run first. Nothing of the checkout is overwritten but what this wrote before.
"""

import argparse
import ast
import csv
import io
import re
import subprocess
import sys
from pathlib import Path

from hyperpyyaml import resolve_references

from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.files import write_text
from speechbrain_ext.inference import classes

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "speechbrain_ext"

#: Where each package goes: a new one, beside what SpeechBrain has of the kind.
PLACES = {
    "speechbrain_ext": "speechbrain.utils.robust",
    "speechbrain_ext.corpora": "speechbrain.dataio.robust_corpora",
    "speechbrain_ext.corruption": "speechbrain.augment.corruption",
    "speechbrain_ext.features": "speechbrain.processing.robust_features",
    "speechbrain_ext.frontends": "speechbrain.lobes.models.frontends",
    "speechbrain_ext.backends": "speechbrain.lobes.models.backends",
    "speechbrain_ext.criteria": "speechbrain.nnet.loss.criteria",
    "speechbrain_ext.brains": "speechbrain.utils.robust_brains",
    "speechbrain_ext.metrics": "speechbrain.utils.robust_metrics",
    "speechbrain_ext.inference": "speechbrain.inference.robust",
    "speechbrain_ext.evaluation": "speechbrain.utils.robust_evaluation",
    "speechbrain_ext.publishing": "speechbrain.utils.robust_publishing",
}

#: What models' files may name: imported by these names, whatever else is.
LOADED = sorted(
    {
        name.rpartition(".")[0]
        for name in (
            *classes.INTERFACES.values(),
            *classes.CLASSES,
            *classes.IN_CTRANSLATE2.values(),
        )
    }
)

#: What says that a package of the checkout is an export.
MARK = "# Exported from speechbrain-ext."
#: What makes the data that debug flags name, and where they go there.
DEBUG_TOOL = "tools/debug_data.py"
DEBUG_DATA = "tests/tmp/debug_data"

_NAME = re.compile(rf"\b{PACKAGE}\b((?:\.\w+)*)")
_BESIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+[^)]*\)")
_INCLUDE = re.compile(r"^( *)([^#\n]*?)!include:(\S+)\n((?:\1 +.*\n)*)", re.M)
_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)")


class Library:
    """The modules of a package of Python, read without importing them.

    Arguments
    ---------
    root : str or Path
        The folder that has the package.

    Example
    -------
    >>> library = Library(ROOT)
    >>> sorted(library.closure({"speechbrain_ext.files"}))
    ['speechbrain_ext.errors', 'speechbrain_ext.files']
    """

    def __init__(self, root):
        self.root = Path(root)

    def file(self, module):
        """Find a module's file.

        Arguments
        ---------
        module : str
            Its full name.

        Returns
        -------
        Path or None
            None where there is no such module.
        """
        path = self.root / module.replace(".", "/")
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        return None

    def is_package(self, module):
        """Say whether a module is a folder of modules.

        Arguments
        ---------
        module : str
            Its full name.

        Returns
        -------
        bool
        """
        file = self.file(module)
        return file is not None and file.name == "__init__.py"

    def owner(self, module, name):
        """Find the module that an imported name is of.

        Arguments
        ---------
        module : str
            What is imported from.
        name : str
            What is imported.

        Returns
        -------
        str
            The module; what a package's ``__init__`` imports is another's.
        """
        if self.file(f"{module}.{name}") is not None:
            return f"{module}.{name}"
        if self.is_package(module):
            for line in _imports(ast.parse(self.file(module).read_text())):
                if name in (alias.asname or alias.name for alias in line.names):
                    return self.owner(line.module, name)
        return module

    def needs(self, text):
        """List the modules that a text of Python imports.

        Arguments
        ---------
        text : str
            The text.

        Returns
        -------
        set of str
            Full names.

        Raises
        ------
        UserError
            When one is not there, or is imported by a name that it does not
            have where it goes.
        """
        found = set()
        for line in _imports(ast.parse(text)):
            _check_rewritable(line)
            found |= {self.owner(line.module, a.name) for a in line.names}
        for module in found:
            if self.file(module) is None:
                raise UserError(f"{module}: no such module in {self.root}")
        return found

    def closure(self, modules):
        """Follow imports to the end.

        Arguments
        ---------
        modules : set of str
            Full names.

        Returns
        -------
        set of str
            These, and all that they need.
        """
        found, waiting = set(), list(modules)
        while waiting:
            module = waiting.pop()
            if module in found:
                continue
            if self.file(module) is None:
                raise UserError(f"{module}: no such module in {self.root}")
            found.add(module)
            if not self.is_package(module):
                waiting += self.needs(self.file(module).read_text())
            if module == classes.__name__:
                waiting += LOADED
        return found


def _imports(tree):
    """Lines that import from the package, wherever in a file they are."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and not node.level
        and node.module.split(".")[0] == PACKAGE
    ]


def _check_rewritable(line):
    """Refuse an import of a name that has another package there."""
    for alias in line.names:
        name = f"{line.module}.{alias.name}"
        if place(name) != f"{place(line.module)}.{alias.name}":
            raise UserError(
                f"{name}: imported from {line.module}, which it goes apart "
                "from; expected what is in it to be imported"
            )


def place(module):
    """Say where a module, or what is in one, goes.

    Arguments
    ---------
    module : str
        Its full name.

    Returns
    -------
    str
        Its name in SpeechBrain's tree.

    Example
    -------
    >>> place("speechbrain_ext.features.frames.count_frames")
    'speechbrain.processing.robust_features.frames.count_frames'
    >>> place("speechbrain_ext.errors")
    'speechbrain.utils.robust.errors'
    """
    package = ".".join(module.split(".")[:2])
    if package not in PLACES:
        package = PACKAGE
    return PLACES[package] + module[len(package) :]


def rewrite(text):
    """Give every name of the package in a text its new one.

    Arguments
    ---------
    text : str
        Python, YAML or prose.

    Returns
    -------
    str

    Example
    -------
    >>> rewrite("brain: !name:speechbrain_ext.brains.thaw.SlowThawBrain")
    'brain: !name:speechbrain.utils.robust_brains.thaw.SlowThawBrain'
    """
    return _NAME.sub(lambda found: place(found[0]), text)


def inline(file):
    """Read a YAML file with what it includes in its text.

    Arguments
    ---------
    file : Path
        The file.

    Returns
    -------
    str
        Of an included file, everything resolved, with the overrides that stand
        below its name.
    """

    def included(found):
        """Give what an included file says, below its key."""
        indent, key, name, overrides = found.groups()
        other = file.parent / name
        resolved = resolve_references(
            io.StringIO(inline(other)), overrides or None
        ).getvalue()
        lines = [f"{indent}    {line}" for line in resolved.splitlines()]
        return "\n".join([f"{indent}{key.rstrip()}", *lines, ""])

    return _INCLUDE.sub(included, file.read_text(encoding="utf-8"))


class Export:
    """A recipe on its way into a checkout.

    Arguments
    ---------
    recipe : str or Path
        The recipe's folder, below ``recipes/``.
    checkout : str or Path
        SpeechBrain's.
    root : str or Path
        The repository that has the recipe.

    Raises
    ------
    UserError
        When one of them is not what it should be.

    Example
    -------
    >>> Export("nowhere", "../speechbrain")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no recipe; ...
    """

    def __init__(self, recipe, checkout, root=ROOT):
        self.root, self.checkout = Path(root), Path(checkout)
        self.folder = Path(recipe)
        if not (self.folder / "train.py").is_file():
            self.folder = self.root / recipe
        if not (self.folder / "train.py").is_file():
            raise UserError(f"{recipe}: no recipe; expected train.py there")
        self.folder = self.folder.resolve()
        if not self.folder.is_relative_to(self.root.resolve() / "recipes"):
            raise UserError(f"{recipe}: expected a folder below recipes/")
        self.name = self.folder.relative_to(self.root.resolve())
        if not (self.checkout / "speechbrain" / "core.py").is_file():
            raise UserError(
                f"{checkout}: no speechbrain/core.py there; expected a "
                "checkout of SpeechBrain's repository"
            )
        self.library = Library(self.root)
        self.written = {}

    def collect(self):
        """Make all files' texts, by their path in the checkout.

        Returns
        -------
        dict
            Text by path.
        """
        texts = {}
        for file in sorted(self.folder.rglob("*")):
            # Not what a training left.
            if file.suffix not in (".py", ".yaml", ".md"):
                continue
            if "results" in file.relative_to(self.folder).parts:
                continue
            path = self.name / file.relative_to(self.folder)
            text = inline(file) if file.suffix == ".yaml" else file.read_text()
            if file.suffix == ".md":
                # Links that leave the recipe lead nowhere there.
                text = _BESIDE.sub(r"\1", text)
            texts[path] = text
        rows = self._rows()
        variables = any(
            _VARIABLE.search(row["test_debug_flags"]) for row in rows
        )
        if variables:
            texts[Path("tests/utils/debug_data.py")] = (
                self.root / DEBUG_TOOL
            ).read_text()
        modules = self.library.closure(
            {
                module
                for path, text in texts.items()
                for module in self._needs(path, text)
            }
        )
        texts.update(self._modules(modules))
        texts = {path: rewrite(text) for path, text in texts.items()}
        if variables:
            texts.update(self._setup_scripts(rows))
        texts.update(self._table(rows))
        return texts

    def _needs(self, path, text):
        if path.suffix == ".py":
            return self.library.needs(text)
        if path.suffix != ".yaml":
            return set()
        names = (found[0].rpartition(".") for found in _NAME.finditer(text))
        return {self.library.owner(one[0], one[2]) for one in names if one[1]}

    def _modules(self, modules):
        """Texts of modules, and of the packages that they are in."""
        texts = {}
        for module in sorted(modules):
            if self.library.is_package(module):
                continue
            path = place(module).replace(".", "/") + ".py"
            texts[Path(path)] = self.library.file(module).read_text()
        packages = {module.rpartition(".")[0] for module in modules}
        for package in sorted(packages | modules):
            if self.library.is_package(package):
                path = place(package).replace(".", "/") + "/__init__.py"
                texts[Path(path)] = self._init(package, modules)
        return texts

    def _init(self, package, modules):
        """A package's own text, less what it imports of other modules."""
        text = self.library.file(package).read_text()
        tree = ast.parse(text)
        gone = {
            alias.asname or alias.name
            for line in _imports(tree)
            for alias in line.names
            if self.library.owner(line.module, alias.name) not in modules
        }
        kept = []
        for node in tree.body:
            segment = ast.get_source_segment(text, node)
            if isinstance(node, ast.ImportFrom):
                names = [a for a in node.names if a.name not in gone]
                if not names:
                    continue
                node.names = names
                segment = ast.unparse(node)
            elif isinstance(node, ast.Assign) and "__all__" in segment:
                every = [
                    n for n in ast.literal_eval(node.value) if n not in gone
                ]
                segment = f"__all__ = {every!r}"
            kept.append(segment)
        return "\n\n".join([kept[0], MARK, *kept[1:]]) + "\n"

    def _rows(self):
        dataset = self.name.parts[1]
        file = self.root / "tests" / "recipes" / f"{dataset}.csv"
        try:
            with open(file, newline="", encoding="utf-8") as opened:
                rows = list(csv.DictReader(opened, skipinitialspace=True))
        except OSError:
            raise UserError(f"{file}: no such file; expected it") from None
        own = f"{self.name.as_posix()}/"
        rows = [row for row in rows if row["Script_file"].startswith(own)]
        if not rows:
            raise UserError(f"{file}: no row of {self.name}; expected some")
        return rows

    def _table(self, rows):
        """The checkout's table with this recipe's rows at its end."""
        path = Path("tests/recipes") / f"{self.name.parts[1]}.csv"
        lines, header = [], list(rows[0])
        if (self.checkout / path).is_file():
            text = (self.checkout / path).read_text(encoding="utf-8")
            own = f",{self.name.as_posix()}/train.py,"
            lines = [line for line in text.splitlines() if own not in line]
            header = next(csv.reader(lines))
        written = io.StringIO()
        writer = csv.DictWriter(
            written, header, extrasaction="ignore", lineterminator="\n"
        )
        if not lines:
            writer.writeheader()
        for row in rows:
            flags = _VARIABLE.sub(
                lambda found: f"{DEBUG_DATA}/{found[1].split('_')[0].lower()}",
                row["test_debug_flags"],
            )
            writer.writerow({**row, "test_debug_flags": flags})
        return {path: "\n".join([*lines, written.getvalue()])}

    def _setup_scripts(self, rows):
        """What SpeechBrain's recipe tests run before a row."""
        texts = {}
        for row in rows:
            if not _VARIABLE.search(row["test_debug_flags"]):
                continue
            script = row["Script_file"].removesuffix(".py").replace("/", "_")
            own = Path(row["Hparam_file"]).relative_to(self.name)
            name = str(own.with_suffix("")).replace("/", "_")
            texts[Path("tests/recipes/setup") / script / name] = (
                "#!/bin/sh\n"
                f"exec python tests/utils/debug_data.py {DEBUG_DATA}\n"
            )
        return texts

    def check(self, texts):
        """Refuse to write over what is SpeechBrain's.

        Arguments
        ---------
        texts : dict
            As :meth:`collect` makes them.

        Raises
        ------
        UserError
            When there is a package of one of the places' names already.
        """
        for path in texts:
            if path.name == "__init__.py":
                file = self.checkout / path
                if file.is_file() and MARK not in file.read_text():
                    raise UserError(
                        f"{file}: is SpeechBrain's own; expected another "
                        f"place in PLACES of {Path(__file__).name}"
                    )

    def write(self):
        """Write everything.

        Returns
        -------
        list of Path
            The files, by their path in the checkout.

        Raises
        ------
        UserError
            When a file cannot be written.
        """
        texts = self.collect()
        self.check(texts)
        for path, text in texts.items():
            if path.name == "__init__.py":
                text = self._joined(path, text)
            write_text(self.checkout / path, text)
            if path.parts[:3] == ("tests", "recipes", "setup"):
                (self.checkout / path).chmod(0o755)
        self._tidy([path for path in texts if path.suffix == ".py"])
        return list(texts)

    def _joined(self, path, text):
        """A package of an earlier export keeps what that one needs."""
        file = self.checkout / path
        if not file.is_file() or file.read_text() == text:
            return text
        lines, names = {}, set()
        docstring = ast.get_docstring(ast.parse(text))
        for one in (file.read_text(), text):
            for node in ast.parse(one).body[1:]:
                segment = ast.unparse(node)
                if segment.startswith("__all__"):
                    names |= set(ast.literal_eval(node.value))
                else:
                    lines[segment] = None
        if names:
            lines[f"__all__ = {sorted(names)!r}"] = None
        return "\n\n".join([f'"""{docstring}"""', MARK, *lines]) + "\n"

    def _tidy(self, paths):
        """Sort imports and wrap lines, where ruff is installed."""
        for command in (["check", "--select", "I", "--fix"], ["format"]):
            subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--quiet", "--"]
                + [str(path) for path in paths],
                cwd=self.checkout,
                check=False,
                capture_output=True,
            )

    def packages(self, paths):
        """List what modules import that SpeechBrain does not require.

        Arguments
        ---------
        paths : sequence of Path
            As :meth:`write` returns them.

        Returns
        -------
        list of str
            Top-level names.
        """
        file = self.checkout / "requirements.txt"
        required = file.read_text().lower() if file.is_file() else ""
        found = set()
        for path in paths:
            if path.suffix != ".py":
                continue
            for node in ast.walk(ast.parse((self.checkout / path).read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                found |= {name.split(".")[0] for name in names}
        known = {*sys.stdlib_module_names, "speechbrain"}
        return sorted(
            name for name in found - known if name.lower() not in required
        )


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help="its folder, below recipes/")
    parser.add_argument(
        "--to", required=True, metavar="CHECKOUT", help="SpeechBrain's"
    )
    with exit_on_user_error():
        arguments = parser.parse_args()
        export = Export(arguments.recipe, arguments.to)
        paths = export.write()
        modules = [path for path in paths if path.parts[0] == "speechbrain"]
        print(f"{arguments.to}: {len(paths)} files, {len(modules)} modules")
        print("not in requirements.txt:", *export.packages(paths))


if __name__ == "__main__":
    main()
