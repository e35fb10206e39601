"""The data of spectrogram fusion: AISHELL-1, PNL 100, and their stand-ins."""

import collections
import itertools
import logging

import numpy
import pytest
import soundfile

from speechbrain_ext.corpora import fusion_corpus
from speechbrain_ext.corpora.aishell1 import prepare_aishell1
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import read_manifest, read_rows
from speechbrain_ext.corpora.matrix_sentences import COLUMNS, random_sentence
from speechbrain_ext.corpora.mini import generator, prepare_mini
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.noise_kinds import KINDS
from speechbrain_ext.corpora.noise_mixtures import (
    list_at_each_snr,
    list_mixtures,
    split_kinds,
)
from speechbrain_ext.corpora.pnl100 import COUNT, find_pnl100, kind_of
from speechbrain_ext.corpora.prepare import prepare_spectrogram_fusion
from speechbrain_ext.errors import UserError

SHARES = fusion_corpus.NOISE_SHARES


def write(path, seconds=1.0, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(seed)
    samples = 0.1 * rng.standard_normal(round(16000 * seconds))
    soundfile.write(path, samples, 16000)
    return path


@pytest.fixture
def aishell(tmp_path):
    """AISHELL-1's layout: two speakers a split, two utterances each."""
    folder, lines = tmp_path / "corpus" / "data_aishell", []
    speakers = iter(f"S{number:04d}" for number in range(2, 20))
    for split, _ in itertools.product(("train", "dev", "test"), range(2)):
        speaker = next(speakers)
        for number in range(2):
            name = f"BAC009{speaker}W{number:04d}"
            write(folder / "wav" / split / speaker / f"{name}.wav")
            lines.append(f"{name} 今天  天气 好\n")
    transcript = folder / "transcript" / "aishell_transcript_v0.8.txt"
    transcript.parent.mkdir()
    transcript.write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def pnl(tmp_path):
    for number in range(1, COUNT + 1):
        write(tmp_path / "Nonspeech" / f"n{number}.wav", 0.5, number)
    return tmp_path / "Nonspeech"


# ---- AISHELL-1 -------------------------------------------------------------


def test_aishell_is_read_as_it_is_unpacked(aishell, tmp_path):
    manifests = prepare_aishell1(aishell.parent, tmp_path / "out")
    assert list(manifests) == ["train", "dev", "test"]
    rows = read_manifest(manifests["dev"])
    assert [row["ID"] for row in rows] == [
        *("BAC009S0004W0000", "BAC009S0004W0001"),
        *("BAC009S0005W0000", "BAC009S0005W0001"),
    ]
    assert rows[0]["spk_id"] == "S0004" and rows[0]["duration"] == 1.0
    # Mandarin has no spaces between words.
    assert {row["wrd"] for row in rows} == {"今天天气好"}


def test_utterances_without_a_transcript_are_counted(aishell, tmp_path, caplog):
    transcript = aishell / "transcript" / "aishell_transcript_v0.8.txt"
    lines = transcript.read_text(encoding="utf-8").splitlines(keepends=True)
    transcript.write_text("".join(lines[1:]), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        manifests = prepare_aishell1(aishell, tmp_path / "out")
    assert "1 of 4 utterances in train have no transcript" in caplog.text
    assert len(read_manifest(manifests["train"])) == 3


def test_what_is_wrong_with_aishell_is_one_line(aishell, tmp_path):
    transcript = aishell / "transcript" / "aishell_transcript_v0.8.txt"
    text = transcript.read_text(encoding="utf-8")
    name = text.split()[0]
    for wrong, message in (
        (f"{text}{name} 好\n", f"{name} has two lines"),
        (f"{text}BAC009S0999W0001\n", "BAC009S0999W0001 has no transcript"),
        ("other 好\n", "has no line of the 4 utterances in train"),
    ):
        transcript.write_text(wrong, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            prepare_aishell1(aishell, tmp_path / "out")
    transcript.write_text(text, encoding="utf-8")
    (aishell / "wav" / "dev").rename(aishell / "wav" / "packed")
    with pytest.raises(UserError, match="wav/dev: no recordings; expected"):
        prepare_aishell1(aishell, tmp_path / "out")
    transcript.unlink()
    with pytest.raises(UserError, match="not AISHELL-1; expected transcript"):
        prepare_aishell1(aishell, tmp_path / "out")


# ---- PNL 100 and the split by kind -----------------------------------------


def test_pnl_100_has_its_kinds(pnl):
    rows = find_pnl100(pnl)
    assert [row["ID"] for row in rows] == [f"n{n}" for n in range(1, 101)]
    sizes = collections.Counter(row["kind"] for row in rows)
    assert len(sizes) == 20
    # As the corpus's page has them.
    for kind, first, last in (
        ("crowd", 1, 17),
        ("machine", 18, 29),
        ("alarm-and-siren", 30, 43),
        ("animal", 47, 55),
        ("water", 56, 69),
        ("wind", 70, 78),
        ("cry", 93, 93),
    ):
        assert {kind_of(n) for n in range(first, last + 1)} == {kind}
        assert sizes[kind] == last + 1 - first


def test_pnl_100_is_split_70_15_15_and_no_kind_is_in_two(pnl):
    rows = find_pnl100(pnl)
    parts = split_kinds(rows, SHARES, seed=1234)
    assert [len(part) for part in parts.values()] == [70, 15, 15]
    kinds = [{row["kind"] for row in part} for part in parts.values()]
    for one, other in itertools.combinations(kinds, 2):
        assert not one & other
    assert split_kinds(rows[::-1], SHARES, seed=1234) == {
        split: part[::-1] for split, part in parts.items()
    }
    assert split_kinds(rows, SHARES, seed=1) != parts


def test_the_kinds_of_the_mini_noise_are_split_8_2_2():
    noises = [
        {"ID": f"{kind}-{n}", "kind": kind} for kind in KINDS for n in (0, 1)
    ]
    parts = split_kinds(noises, SHARES, seed=1)
    kinds = [len({row["kind"] for row in part}) for part in parts.values()]
    assert kinds == [8, 2, 2]


def test_each_split_gets_a_kind_even_where_one_has_nearly_all():
    noises = [{"ID": str(n), "kind": "street"} for n in range(50)]
    noises += [{"ID": name, "kind": name} for name in ("bell", "door")]
    for seed in range(5):
        parts = split_kinds(noises, SHARES, seed)
        assert all(parts.values())
    with pytest.raises(UserError, match="noise: 2 kinds; expected at least 3"):
        split_kinds(noises[49:51], SHARES, 1)


def test_part_of_pnl_100_is_refused_and_other_folders_are_not(pnl, tmp_path):
    (pnl / "n7.wav").unlink()
    with pytest.raises(UserError, match="99 of the recordings of PNL 100, "):
        find_pnl100(pnl)
    write(pnl / "fan.wav")
    assert "fan" in {row["kind"] for row in find_pnl100(pnl)}


# ---- mixtures --------------------------------------------------------------


def some_rows(n):
    return [{"ID": f"u{i}", "duration": 1.0} for i in range(n)]


NOISES = [
    {"ID": name, "duration": 9.0, "wav": f"{name}.wav", "kind": name}
    for name in "abc"
]


def test_snrs_of_a_set_are_equally_frequent():
    rows = list_mixtures(some_rows(2000), NOISES, None, 1, snrs=[0, 5, 10, 15])
    counts = collections.Counter(row["snr"] for row in rows)
    assert set(counts) == {0.0, 5.0, 10.0, 15.0}
    # 500 each; five standard deviations are 97.
    assert all(400 < count < 600 for count in counts.values())


def test_an_utterance_has_the_same_noise_at_each_snr():
    rows = list_at_each_snr(some_rows(20), NOISES, [-5, 2.5], seed=1)
    assert [row["snr"] for row in rows] == [-5.0] * 20 + [2.5] * 20
    assert len({row["ID"] for row in rows}) == 40
    for low, high in zip(rows[:20], rows[20:]):
        for key in ("noise_wav", "noise_start", "noise"):
            assert low[key] == high[key]


# ---- the mini corpus -------------------------------------------------------


def test_matrix_sentences_draw_every_word_alike():
    rng = generator(1)
    counts = collections.Counter()
    for _ in range(2000):
        counts.update(random_sentence(rng).rstrip(".").split())
    words = {
        word for column in COLUMNS for entry in column for word in entry.split()
    }
    assert set(counts) == words and len(words) < 80
    # Each of the ten names about 200 times.
    assert all(140 < counts[name] < 260 for name in COLUMNS[0])


def test_grammars_make_other_corpora(tmp_path):
    sizes = dict(train_minutes=0.05, valid_utterances=1, test_utterances=1)
    said = {}
    for grammar in ("sentences", "matrix"):
        made = prepare_mini(tmp_path / grammar, grammar=grammar, **sizes)
        said[grammar] = read_manifest(made["test"])[0]["wrd"]
    words = said["matrix"].rstrip(".").split()
    assert words[0] in COLUMNS[0] and words[1] in COLUMNS[1]
    assert said["sentences"].split()[0] not in COLUMNS[0]
    with pytest.raises(
        UserError, match="grammar matrix: there is none of this"
    ):
        prepare_mini(tmp_path, grammar="matrix", language="de", **sizes)


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion_corpus, "cache_folder", lambda: folder / "cache")
        patch.setattr(
            fusion_corpus,
            "speak_babble",
            lambda *_: [str(write(folder / "babble.wav", 3.0))],
        )
        yield prepare_spectrogram_fusion(
            "",
            folder / "out",
            train_minutes=0.2,
            valid_utterances=2,
            test_utterances=4,
            noise_minutes=0.1,
        )


def test_the_mini_corpus_shares_nothing_between_splits(mini):
    rows = {
        name: read_manifest(path)
        for name, path in mini.items()
        if "noise" not in name
    }
    assert list(rows) == ["train", "valid", "test_1", "test_2"]
    for key in ("wrd", "spk_id"):
        parts = [{row[key] for row in part} for part in rows.values()]
        for one, other in itertools.combinations(parts, 2):
            assert not one & other, key
    assert "snr" not in rows["train"][0]
    for name, snrs in (
        ("test_1", {0, 5, 10, 15, 20}),
        ("test_2", {-5, 2.5, 7.5, 12.5, 17.5}),
    ):
        counts = collections.Counter(row["snr"] for row in rows[name])
        assert counts == dict.fromkeys(snrs, 4)
    text = "".join(row["wrd"] for part in rows.values() for row in part)
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz '")


def test_noise_in_the_tests_is_of_kinds_that_training_has_not(mini):
    kinds = {
        name: {
            row["kind"]
            for row in read_rows(mini[f"{name}-noise"], NOISE_COLUMNS)
        }
        for name in SHARES
    }
    assert (
        sum(map(len, kinds.values())) == len(set().union(*kinds.values())) == 12
    )
    for name in ("test_1", "test_2"):
        rows = read_manifest(mini[name])
        assert {row["noise"] for row in rows} <= kinds[name]
    assert {row["noise"] for row in read_manifest(mini["valid"])} <= kinds[
        "train"
    ]


def test_mixtures_are_made_when_they_are_read(mini):
    dataset = manifest_dataset(mini["test_2"])
    for row, item in zip(read_manifest(mini["test_2"]), dataset):
        noise = item["noisy"] - item["sig"]
        ratio = item["sig"].square().sum() / noise.square().sum()
        assert 10 * float(ratio.log10()) == pytest.approx(row["snr"], abs=0.01)
    clean = manifest_dataset(mini["test_2"], noisy=False)[0]
    assert "noisy" not in clean and clean["wrd"] == dataset[0]["wrd"]


# ---- AISHELL-1 in noise ----------------------------------------------------


def test_aishell_in_noise(aishell, pnl, tmp_path):
    manifests = prepare_spectrogram_fusion(aishell, tmp_path / "out", pnl)
    rows = {
        name: read_manifest(manifests[name])
        for name in ("train", "valid", "test_1", "test_2")
    }
    # One of the two speakers in train is validated on.
    assert [len(part) for part in rows.values()] == [2, 2, 4, 4]
    assert rows["train"][0]["spk_id"] != rows["valid"][0]["spk_id"]
    assert {row["snr"] for row in rows["test_2"]} <= set(
        fusion_corpus.UNSEEN_SNRS
    )
    # The noises are shorter than the speech: they go round.
    item = manifest_dataset(manifests["test_1"])[0]
    noise = item["noisy"] - item["sig"]
    numpy.testing.assert_allclose(noise[:8000], noise[8000:16000], atol=1e-4)
    again = prepare_spectrogram_fusion(aishell, tmp_path / "again", pnl)
    assert again["test_1"].read_text() == manifests["test_1"].read_text()
    (pnl / "n70.wav").rename(pnl.parent / "gone.wav")
    lost = next(
        name
        for name in SHARES
        if "n70.wav" in manifests[f"{name}-noise"].read_text()
    )
    with pytest.raises(
        UserError, match=rf"{lost}-noise.csv: n70: no audio file"
    ):
        read_rows(manifests[f"{lost}-noise"], NOISE_COLUMNS)


def test_aishell_needs_noise(aishell, tmp_path):
    with pytest.raises(
        UserError, match="noise_folder: not given; expected PNL"
    ):
        prepare_spectrogram_fusion(aishell, tmp_path)
