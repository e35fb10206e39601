"""What every train.py does before it builds its Brain."""

import pytest

from speechbrain_ext.brains.experiment import load_hparams, parse_arguments, run
from speechbrain_ext.errors import UserError

YAML = """\
# A comment: with a colon
seed: 1
__set_name: !ref <seed>
lr: 0.1
data_folder: !PLACEHOLDER
output_folder: !ref results/<seed>
rates: [0.0, 0.5]
loader_opts:
    batch_size: 8
name: adapted
pi: !apply:math.sqrt [!ref <seed>]
"""


@pytest.fixture
def hparams_file(tmp_path, monkeypatch):
    """A recipe's YAML file; the process is alone, whoever runs the tests."""
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "train.yaml"
    file.write_text(YAML)
    return file


@pytest.fixture
def parse(hparams_file):
    """Parse a command line after the YAML file: options and overrides."""

    def call(*arguments):
        name, options, overrides = parse_arguments(
            [str(hparams_file), *arguments]
        )
        assert name == str(hparams_file)
        return options, overrides

    return call


@pytest.fixture
def refused(hparams_file):
    """The one line about a command line that cannot be."""

    def call(*arguments):
        with pytest.raises(UserError) as caught:
            parse_arguments([str(hparams_file), *arguments])
        (line,) = str(caught.value).splitlines()
        return line

    return call


# --- Overrides


def test_nothing_given_changes_nothing(parse):
    options, overrides = parse()
    assert overrides == {}
    assert options.overridden_args == set()
    assert options.device is None and options.optimizer_step_limit is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("0.2", 0.2),
        ("1e-3", 0.001),
        ("1E4", 10000.0),
        ("-1", -1),
        ("-.5", -0.5),
        ("True", True),
        ("null", None),
        ("", None),
        ("[1, 0.5]", [1, 0.5]),
        ("a word", "a word"),
        ("a=b", "a=b"),
        ("http://host/?x=1&y=2", "http://host/?x=1&y=2"),
        ("2024-1", "2024-1"),
        ("[unclosed", "[unclosed"),
        ("openai/whisper-tiny.en", "openai/whisper-tiny.en"),
    ],
)
def test_values_are_read_as_in_yaml(parse, text, value):
    for words in (["--name", text], [f"--name={text}"]):
        found = parse(*words)[1]["name"]
        assert found == value and type(found) is type(value)


def test_the_last_of_two_values_counts(parse):
    assert parse("--lr", "1", "--lr=2")[1] == {"lr": 2}


def test_a_value_may_look_like_another_key(parse):
    assert parse("--name", "lr", "--lr=3")[1] == {"name": "lr", "lr": 3}


@pytest.mark.parametrize("typo", ["--lrr", "--LR", "--output_foldr"])
def test_a_typo_is_refused_with_what_was_meant(refused, hparams_file, typo):
    line = refused(typo, "1")
    assert line.startswith(f"{typo}: ") and str(hparams_file) in line
    meant = {"--lrr": "--lr", "--output_foldr": "--output_folder"}
    if typo in meant:
        assert line.endswith(f"did you mean {meant[typo]}?")


def test_a_typo_of_a_run_option_is_refused_with_what_was_meant(refused):
    assert refused("--devise", "cpu").endswith("did you mean --device?")


@pytest.mark.parametrize(
    "word", ["--dev", "--devic", "--debu", "--noprogress", "--test"]
)
def test_no_option_is_shortened(refused, word):
    assert refused(word).startswith(f"{word}: ")


@pytest.mark.parametrize("key", ["batch_size", "loader_opts.batch_size"])
def test_a_nested_key_is_refused(refused, key):
    """SpeechBrain would pass it on and nothing would change."""
    assert refused(f"--{key}", "4").startswith(f"--{key}: ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--lr"], "--lr"),
        (["--name", "a", "--lr"], "--lr"),
        (["stray"], "stray"),
        (["--lr", "1", "2"], "2"),
        (["-lr", "1"], "-lr"),
        (["--optimizer_step_limit", "few"], "optimizer_step_limit"),
        (["--ckpt_interval_steps", "few"], "ckpt_interval_steps"),
        (["--precision", "fp7"], "precision"),
        (["--device"], "--device"),
    ],
)
def test_what_is_missing_or_stray_is_named(refused, arguments, word):
    assert word in refused(*arguments)


# --- Run options


def test_run_options_are_speechbrains(parse):
    options, overrides = parse(
        *("--device", "cpu", "--lr", "2", "--debug", "--max_grad_norm=3"),
        *("--ckpt_interval_steps", "7", "--noprogressbar", "--test_only"),
    )
    assert overrides == {"lr": 2}
    assert options.device == "cpu" and options.max_grad_norm == 3.0
    assert options.debug and options.noprogressbar and options.test_only
    assert options.ckpt_interval_steps == 7
    # What was not given gives way to the YAML file.
    assert options.overridden_args == {
        *("device", "debug", "max_grad_norm", "ckpt_interval_steps"),
        *("noprogressbar", "test_only"),
    }


@pytest.mark.parametrize(
    "words", [["--optimizer_step_limit", "5"], ["--optimizer_step_limit=5"]]
)
def test_the_step_limit_is_a_number(parse, words):
    options, _ = parse(*words)
    assert options.optimizer_step_limit == 5
    assert type(options.optimizer_step_limit) is int
    assert "optimizer_step_limit" in options.overridden_args


@pytest.mark.parametrize(
    ("rank", "cuda", "backend"),
    [
        (None, False, "nccl"),
        ("1", False, "gloo"),
        ("1", True, "nccl"),
    ],
)
def test_processes_without_gpus_talk_over_gloo(
    parse, monkeypatch, rank, cuda, backend
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert parse("--lr", "1")[0].distributed_backend == backend


# --- The file


def test_a_missing_file_is_named(tmp_path):
    missing = str(tmp_path / "gone.yaml")
    for arguments in ([missing], [missing, "--lr", "1"]):
        with pytest.raises(UserError, match="gone.yaml: no such file"):
            parse_arguments(arguments)


def test_a_command_line_without_a_file_is_refused():
    with pytest.raises(UserError, match="param_file"):
        parse_arguments([])


def test_hparams_are_built_with_their_overrides(hparams_file):
    hparams = load_hparams(hparams_file, {"data_folder": "/data", "seed": 4})
    assert hparams["output_folder"] == "results/4"
    assert hparams["pi"] == 2.0 and hparams["data_folder"] == "/data"
    assert hparams["loader_opts"] == {"batch_size": 8}


def test_what_is_left_open_is_named(hparams_file):
    with pytest.raises(UserError) as caught:
        load_hparams(hparams_file, {})
    assert str(caught.value).startswith("data_folder: ")
    assert "--data_folder" in str(caught.value)
    assert str(hparams_file) in str(caught.value)


@pytest.mark.parametrize("text", ["lr: [1", "a: b: c", "lr: 1\n\tseed: 2"])
def test_what_is_no_yaml_is_named(hparams_file, text):
    hparams_file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_hparams(hparams_file, {})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{hparams_file}: not valid YAML")


def test_a_bug_while_building_keeps_its_traceback(hparams_file):
    hparams_file.write_text("lr: !apply:math.sqrt [-1]\n")
    with pytest.raises(ValueError) as caught:
        load_hparams(hparams_file, {})
    assert not isinstance(caught.value, UserError)


# --- The command


def test_run_gives_main_what_was_parsed(hparams_file, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["train.py", str(hparams_file), "--lr=3", "--debug"]
    )
    given = []
    run(lambda *arguments: given.extend(arguments))
    name, options, overrides = given
    assert (name, overrides) == (str(hparams_file), {"lr": 3})
    assert options.debug


@pytest.mark.parametrize("where", ["parsing", "main"])
def test_run_ends_with_one_line(hparams_file, monkeypatch, capsys, where):
    def main(*arguments):
        raise UserError("data:\n  is gone")

    more = ["--typo"] if where == "parsing" else []
    monkeypatch.setattr("sys.argv", ["train.py", str(hparams_file), *more])
    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 2
    said = "--typo: " if where == "parsing" else "data: is gone\n"
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: {said}") and errors.count("\n") == 1


def test_run_keeps_a_bugs_traceback(hparams_file, monkeypatch):
    def main(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["train.py", str(hparams_file)])
    with pytest.raises(ZeroDivisionError):
        run(main)
