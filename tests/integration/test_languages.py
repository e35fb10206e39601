"""What is spoken, and traces of their own, through the commands."""

import json

import pytest

from speechbrain_ext import cli
from speechbrain_ext.audio import load_audio
from speechbrain_ext.evaluation import packet_loss


@pytest.fixture
def refused(capsys):
    """Run what must be refused: the one line on standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        assert stop.value.code == 2
        # A preparer has shown its progress.
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("error: ")
        return line

    return call


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("xx", "language xx: not one that Whisper knows; expected a code such"),
        ("es", "language es: openai/whisper-tiny.en knows English only"),
    ],
)
@pytest.mark.parametrize("command", ["transcribe", "evaluate"])
def test_a_language_that_the_model_does_not_know(
    refused, model_folder, manifests, speech, tmp_path, command, code, expected
):
    given = {
        "transcribe": [speech],
        "evaluate": ["--data", manifests["test"], "--out", tmp_path / "out"],
    }
    line = refused(
        *(command, *given[command]),
        *("--model", model_folder, "--language", code),
    )
    assert expected in line


def test_texts_are_scored_in_the_language(
    model_folder, manifests, tmp_path, monkeypatch
):
    chosen = {}

    def evaluate(systems, rows, *arguments, normalise, **options):
        chosen["words"] = normalise("Um, it's twenty past déjà vu !")
        return []

    monkeypatch.setattr(packet_loss, "evaluate_systems", evaluate)
    monkeypatch.setattr(packet_loss, "results_table", lambda rows: "")
    cli.main(
        [
            *("evaluate", "--model", str(model_folder)),
            *("--data", str(manifests["test"]), "--out", str(tmp_path)),
            *("--language", "en"),
        ]
    )
    assert chosen["words"] == "it is 20 past deja vu"


@pytest.fixture
def blind_set(speech, tmp_path):
    """The PLC challenge's layout with one utterance, a third of it lost."""
    folder = tmp_path / "blind"
    folder.mkdir()
    (folder / "1.wav").write_bytes(speech.read_bytes())
    packets = -(-len(load_audio(speech)) // 320)
    (folder / "1_is_lost.txt").write_text("0\n1\n0\n" * (packets // 3 + 1))
    trace = (folder / "1_is_lost.txt").read_text().split()[:packets]
    (folder / "1_is_lost.txt").write_text("\n".join(trace) + "\n")
    (folder / "transcripts.txt").write_text("1.wav\tsome words of no matter\n")
    return folder


def test_traces_are_the_damage(model_folder, blind_set, tmp_path):
    out = tmp_path / "out"
    arguments = ("--data", blind_set, "--out", out, "--model", model_folder)
    cli.main(["evaluate", *map(str, arguments)])
    rows = json.loads((out / "results.json").read_text())
    assert {row["corruption"] for row in rows} == {"trace"}
    assert {row["test_set"] for row in rows} == {"blind"}
    assert all(0.3 < row["level"] < 0.36 for row in rows)


def test_traces_take_no_rates(refused, model_folder, blind_set, tmp_path):
    line = refused(
        *("evaluate", "--data", blind_set, "--out", tmp_path / "out"),
        *("--model", model_folder, "--rates", "0.3"),
    )
    assert f"--rates: expected none, as the traces in {blind_set}" in line


def test_a_trace_of_another_packet_length(
    refused, model_folder, blind_set, speech
):
    trace = blind_set / "1_is_lost.txt"
    lines = trace.read_text().split()
    trace.write_text("\n".join(lines * 2))
    for arguments in (
        ("transcribe", speech, "--lost", trace),
        ("evaluate", "--data", blind_set, "--out", blind_set / "out"),
    ):
        line = refused(*arguments, "--model", model_folder)
        assert str(trace) in line and "20 ms" in line
        assert str(len(lines)) in line and str(2 * len(lines)) in line
