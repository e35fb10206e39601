"""Recipes that move to a SpeechBrain checkout: names, modules and tables."""

import ast
import csv
import subprocess

import pytest
import yaml
from hyperpyyaml import load_hyperpyyaml

from speechbrain_ext.errors import UserError

HEADER = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks,performance\n"
)
OTHER = "ASR,LibriSpeech,recipes/LibriSpeech/ASR/CTC/train.py,a.yaml,,b.md,,,--x=1,,\n"
RECIPE = "recipes/LibriSpeech/enhance/ssl_mse"


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("export_upstream")


@pytest.fixture(scope="module")
def made(tool, tmp_path_factory):
    """A checkout in which a recipe stands, and the paths of its files."""
    checkout = tmp_path_factory.mktemp("checkout") / "speechbrain"
    (checkout / "speechbrain").mkdir(parents=True)
    (checkout / "speechbrain" / "core.py").write_text('"""Core."""\n')
    (checkout / "requirements.txt").write_text("torch>=2\nnumpy\n")
    table = checkout / "tests" / "recipes" / "LibriSpeech.csv"
    table.parent.mkdir(parents=True)
    table.write_text(HEADER + OTHER)
    return checkout, tool.Export(RECIPE, checkout).write()


def rows(checkout):
    """The rows of the checkout's table."""
    with open(checkout / "tests/recipes/LibriSpeech.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_package_has_a_place(tool, repository):
    packages = {
        ".".join(file.parent.relative_to(repository).parts)
        for file in (repository / "speechbrain_ext").rglob("__init__.py")
    }
    assert packages == set(tool.PLACES)
    assert len(set(tool.PLACES.values())) == len(packages)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "from speechbrain_ext import __version__",
            "from speechbrain.utils.robust import __version__",
        ),
        (
            "from speechbrain_ext.files import x",
            "from speechbrain.utils.robust.files import x",
        ),
        (
            "!new:speechbrain_ext.corruption.noise.AdditiveNoise",
            "!new:speechbrain.augment.corruption.noise.AdditiveNoise",
        ),
        ('"speechbrain_ext_version"', '"speechbrain_ext_version"'),
        ("speechbrain.utils.x", "speechbrain.utils.x"),
    ],
)
def test_names_are_rewritten(tool, text, expected):
    assert tool.rewrite(text) == expected


def test_no_module_puts_names_together_from_the_packages_alone(repository):
    """What the rewriting could not find: where it goes depends on the rest."""
    for file in (repository / "speechbrain_ext").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.endswith("speechbrain_ext."), file


def test_no_name_of_the_package_is_left(made):
    checkout, paths = made
    for path in paths:
        text = (checkout / path).read_text()
        assert "speechbrain_ext." not in text, path
        assert "import speechbrain_ext" not in text, path


def test_every_import_leads_somewhere(made, tool):
    """Of names below the places: each module, and each name in it, is there."""
    checkout, paths = made
    places = tuple(tool.PLACES.values())
    defined = {}
    for path in paths:
        if path.parts[0] == "speechbrain":
            name = ".".join(path.with_suffix("").parts)
            tree = ast.parse((checkout / path).read_text())
            defined[name.removesuffix(".__init__")] = {
                getattr(node, "name", None)
                or getattr(node, "asname", None)
                or getattr(node, "id", None)
                for node in ast.walk(tree)
            }
    checked = 0
    for path in paths:
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((checkout / path).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(
                places
            ):
                for alias in node.names:
                    checked += 1
                    assert (
                        f"{node.module}.{alias.name}" in defined
                        or alias.name in defined[node.module]
                    ), (path, alias.name)
    assert checked > 100


def test_whatever_is_imported_can_be_found_and_rewritten(tool, repository):
    """In all of the package and in every recipe."""
    library = tool.Library(repository)
    files = [
        *(repository / "speechbrain_ext").rglob("*.py"),
        *(repository / "recipes").rglob("*.py"),
    ]
    assert len(files) > 100
    for file in files:
        library.needs(file.read_text())
    with pytest.raises(UserError, match="speechbrain_ext.inference: imported"):
        library.needs("from speechbrain_ext import inference")


def test_what_models_may_name_goes_along(made, tool):
    """The loader imports these by their names alone."""
    checkout, _ = made
    assert "speechbrain_ext.inference.inpainter" in tool.LOADED
    for module in tool.LOADED:
        path = tool.place(module).replace(".", "/") + ".py"
        assert (checkout / path).is_file(), module


def test_yaml_names_what_is_there(made):
    checkout, paths = made
    found = 0
    for path in paths:
        if path.suffix == ".yaml":
            text = (checkout / path).read_text()
            for line in text.splitlines():
                if ":speechbrain." in line:
                    name = line.rpartition(":speechbrain.")[2].split()[0]
                    module = name.rpartition(".")[0].replace(".", "/")
                    own = checkout / "speechbrain" / f"{module}.py"
                    # SpeechBrain's own have no folder here.
                    if own.parent.is_dir() and "robust" in module:
                        assert own.is_file(), line
                        found += 1
    assert found > 20


def test_rows_are_added_once(made, tool, repository):
    checkout, _ = made
    before = rows(checkout)
    tool.Export(RECIPE, checkout).write()
    assert rows(checkout) == before
    assert before[0]["Hparam_file"] == "a.yaml"
    own = {row["Hparam_file"] for row in before[1:]}
    files = (repository / RECIPE / "hparams").glob("*.yaml")
    assert own == {str(f.relative_to(repository)) for f in files}


def test_debug_data_is_made_by_a_setup_script(made):
    checkout, _ = made
    (row,) = [
        r for r in rows(checkout) if r["Hparam_file"].endswith("/ssl_mse.yaml")
    ]
    assert "--ssl_source=tests/tmp/debug_data/wavlm" in row["test_debug_flags"]
    # Where SpeechBrain's run_recipe_tests looks for it.
    script = checkout.joinpath(
        "tests/recipes/setup/recipes_LibriSpeech_enhance_ssl_mse_train",
        "hparams_ssl_mse",
    )
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    assert script.stat().st_mode & 0o111
    assert (checkout / "tests/utils/debug_data.py").is_file()


def test_two_recipes_share_their_packages(made, tool):
    """The second does not take what the first one's packages export."""
    checkout, paths = made
    more = tool.Export("recipes/LibriSpeech/ASR/packet_loss", checkout).write()
    shared = set(map(str, paths)) & set(map(str, more))
    assert "speechbrain/inference/robust/__init__.py" in shared
    names = {}
    exec(
        (checkout / "speechbrain/inference/robust/__init__.py")
        .read_text()
        .replace("from speechbrain.", "#"),
        names,
    )
    assert "GenericEnhancer" in names["__all__"]


def test_what_speechbrain_has_is_not_overwritten(tool, tmp_path):
    (tmp_path / "speechbrain/utils/robust").mkdir(parents=True)
    (tmp_path / "speechbrain/core.py").write_text("")
    own = tmp_path / "speechbrain/utils/robust/__init__.py"
    own.write_text('"""Another package of that name."""\n')
    with pytest.raises(UserError, match="is SpeechBrain's own"):
        tool.Export(RECIPE, tmp_path).write()
    assert [file for file in tmp_path.rglob("*.*") if file.is_file()] == [
        own.parents[2] / "core.py",
        own,
    ]


@pytest.mark.parametrize(
    ("recipe", "said"),
    [("recipes/nowhere", "no recipe"), (RECIPE, "no speechbrain/core.py")],
)
def test_bad_input(tool, tmp_path, recipe, said):
    with pytest.raises(UserError, match=said):
        tool.Export(recipe, tmp_path)


def test_an_included_file_is_put_in_the_text(tool, tmp_path):
    (tmp_path / "model.yaml").write_text(
        "width: 8\nlayer: !new:torch.nn.Linear\n"
        "    in_features: !ref <width>\n    out_features: 2\n"
    )
    main = tmp_path / "train.yaml"
    main.write_text(
        "seed: 1\nmodel: !include:model.yaml\n    width: 4\nlast: !ref <seed>\n"
    )
    text = tool.inline(main)
    assert "!include" not in text
    (tmp_path / "model.yaml").unlink()
    loaded = load_hyperpyyaml(text)
    assert loaded["model"]["layer"].weight.shape == (2, 4)
    assert loaded["last"] == 1


def test_what_it_needs_beside_speechbrain_is_said(made, tool):
    checkout, paths = made
    needed = tool.Export(RECIPE, checkout).packages(paths)
    assert {"safetensors", "jiwer"} <= set(needed)
    assert not {"torch", "numpy", "speechbrain", "json"} & set(needed)


def test_yaml_parses(made):
    checkout, paths = made
    loader = type("Plain", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    for path in paths:
        if path.suffix == ".yaml":
            assert yaml.load((checkout / path).read_text(), loader)["seed"]
