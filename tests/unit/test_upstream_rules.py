"""SpeechBrain's rules for recipes, held without a checkout of it.

tools/upstream_checks.sh runs the originals.
"""

import ast
import csv
import os
import re
import subprocess
from pathlib import Path

import pytest
from speechbrain.utils.run_opts import RunOptions

ROOT = Path(__file__).resolve().parents[2]
TABLES = sorted((ROOT / "tests" / "recipes").glob("*.csv"))
COLUMNS = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks,performance"
).split(",")
#: What the debug flags may name; tools/debug_data.py makes it.
VARIABLES = {"CHIME2_TREE", "NOISE_FOLDER", "RECOGNISER_FOLDER", "WAVLM_FOLDER"}


def rows():
    """Every row of every table."""
    found = []
    for table in TABLES:
        with open(table, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            assert reader.fieldnames == COLUMNS, table
            found += [(table.stem, row) for row in reader]
    return found


ROWS = rows()
IDS = [row["Hparam_file"].removeprefix("recipes/") for _, row in ROWS]


def test_every_hparams_file_is_listed_once():
    files = {
        str(f.relative_to(ROOT)) for f in ROOT.glob("recipes/**/hparams/*.yaml")
    }
    listed = [row["Hparam_file"] for _, row in ROWS]
    assert files and sorted(listed) == sorted(files)


@pytest.mark.parametrize(("dataset", "row"), ROWS, ids=IDS)
def test_a_row_names_what_is_there(dataset, row):
    assert row["Dataset"] == dataset and row["Task"]
    for column in ("Script_file", "Hparam_file", "Readme_file"):
        assert row[column].startswith(f"recipes/{dataset}/")
        assert (ROOT / row[column]).is_file(), row[column]
    for name in row["Data_prep_file"].split():
        assert (ROOT / name).is_file(), name
    readme = (ROOT / row["Readme_file"]).read_text(encoding="utf-8")
    for link in (*row["Result_url"].split(), *row["HF_repo"].split()):
        assert link in readme


@pytest.mark.parametrize(("dataset", "row"), ROWS, ids=IDS)
def test_a_row_can_be_run_and_checked(dataset, row):
    flags = row["test_debug_flags"]
    assert "--debug" in flags
    assert set(re.findall(r"\$(\w+)", flags)) <= VARIABLES
    keys = re.findall(r"--(\w+)", flags.replace("--debug", ""))
    text = (ROOT / row["Hparam_file"]).read_text(encoding="utf-8")
    for key in keys:
        assert re.search(rf"^{key}:", text, re.M), key
    (files,) = re.findall(r"file_exists=\[([^\]]+)\]", row["test_debug_checks"])
    assert all(files.split(","))
    # A figure that SpeechBrain can read has a decimal point.
    for number in re.findall(r"[\d.]+", row["performance"]):
        assert "." in number


def test_the_debug_data_is_what_the_flags_name(debug_data):
    assert set(debug_data.MAKERS) == VARIABLES
    used = " ".join(row["test_debug_flags"] for _, row in ROWS)
    assert set(re.findall(r"\$(\w+)", used)) == VARIABLES


def unused_keys(yaml_text, script_text):
    """Keys of a YAML file that neither it nor its train.py reads again."""
    keys = {}
    for line in yaml_text.splitlines():
        for name in re.findall(r"!ref[^#]*", line):
            for used in re.findall(r"<(\w+)", name):
                keys.pop(used, None)
        found = re.match(r"(\w+):", line)
        if found and "!apply" not in line and "!!" not in line:
            keys[found[1]] = line
    patterns = [rf'\["({key})"\]|hparams\.get\("({key})' for key in keys]
    # hparams[f"{split}_csv"] reads all keys of that ending.
    endings = re.findall(r'\[f"\{\w+\}(\w+)"\]', script_text)
    return {
        key
        for key, pattern in zip(keys, patterns, strict=True)
        if not re.search(pattern, script_text)
        and not any(ending in key for ending in endings)
    }


@pytest.mark.parametrize(("dataset", "row"), ROWS, ids=IDS)
def test_every_key_is_used_by_train_py(dataset, row):
    unused = unused_keys(
        (ROOT / row["Hparam_file"]).read_text(encoding="utf-8"),
        (ROOT / row["Script_file"]).read_text(encoding="utf-8"),
    )
    # SpeechBrain's Brain reads those that are run options.
    assert unused - set(RunOptions().as_dict()) == set()


def test_unused_keys_are_found():
    yaml_text = (
        "a: 1\nb: !ref <a>\nc: 2\nd_csv: 3\n"
        "e: !apply:os.getcwd []\nf: 4\ng: [!ref <h>]\nh: 5\n"
    )
    script_text = 'hparams["b"]\nhparams[f"{split}_csv"]\nhparams.get("f")\n'
    # SpeechBrain reads from top to bottom: what comes after its use counts.
    assert unused_keys(yaml_text, script_text) == {"c", "g", "h"}


def undocumented(file):
    """Functions and classes that SpeechBrain's check wants documented."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [] if ast.get_docstring(tree) else ["the file itself"]
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        public = not node.name.startswith("_")
        if (public or isinstance(node, ast.ClassDef)) and not (
            ast.get_docstring(node)
        ):
            found.append(f"{node.name}, line {node.lineno}")
    return found


@pytest.mark.parametrize("folder", ["speechbrain_ext", "tools"])
def test_docstrings_are_complete(folder):
    missing = {
        str(file.relative_to(ROOT)): undocumented(file)
        for file in (ROOT / folder).rglob("*.py")
        # SpeechBrain passes over what has two underscores in its name.
        if "__" not in file.name
    }
    assert missing
    assert {file: found for file, found in missing.items() if found} == {}


def test_no_test_file_falls_under_speechbrains_docstring_check():
    """It reads all files with one of its folders' names in their paths."""
    for file in (ROOT / "tests").rglob("*.py"):
        path = str(file.relative_to(ROOT))
        assert not re.search("speechbrain|tools|templates", path), path


def test_the_tests_are_no_package():
    """SpeechBrain's own ``tests`` must be found where ours are."""
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_the_script_refuses_what_is_no_checkout(tmp_path):
    script = ROOT / "tools" / "upstream_checks.sh"
    assert os.access(script, os.X_OK)
    ran = subprocess.run([script, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"error: {tmp_path}: no tests/consistency")
