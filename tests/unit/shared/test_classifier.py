"""The token classifier: learning, keeping, judging."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailchute.classifier import LEAST_MAILS_COUNT, learn, load, probability, save, tokens_of, train
from mailchute.errors import BadSetting


def mail(number: int, words: str) -> bytes:
    return f"Subject: mail {number}\r\nFrom: a@b.example\r\n\r\n{words} number{number}\r\n".encode()


HAM = [mail(n, "please review the attached minutes of our meeting and the budget") for n in range(30)]
SPAM = [mail(n, "cheap pills lottery winner click here viagra http://evil.example/x") for n in range(30)]


def test_it_tells_what_it_was_taught() -> None:
    model = learn(HAM, SPAM)
    ham = probability(model, tokens_of(mail(99, "the minutes of the meeting")))
    spam = probability(model, tokens_of(mail(99, "you are a lottery winner, click here")))
    assert ham is not None
    assert spam is not None
    assert ham < 0.1 < 0.9 < spam


def test_of_what_it_never_saw_it_says_nothing() -> None:
    assert probability(learn(HAM, SPAM), ["entirely", "unheard", "words"]) is None


def test_a_model_is_kept_and_read_again(tmp_path: Path) -> None:
    for folder, mails in (("ham", HAM), ("spam", SPAM)):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for number, content in enumerate(mails):
            (tmp_path / folder / "sub" / f"{number}.eml").write_bytes(content)
    model = train(tmp_path / "ham", tmp_path / "spam")
    save(model, tmp_path / "model")
    assert load(tmp_path / "model") == model == learn(HAM, SPAM)


def test_without_header_fields_only_subject_and_text_count() -> None:
    tokens = set(tokens_of(b"Subject: hello\r\nX-Mailer: old\r\n\r\ntext\r\n", header_fields=False))
    assert tokens == {"subject:hello", "text"}


def test_too_few_mails_teach_nothing() -> None:
    with pytest.raises(BadSetting, match="at least 20"):
        learn(HAM, SPAM[: LEAST_MAILS_COUNT - 1])


@pytest.mark.parametrize("octets", [b"", b"garbage", b"\x80", b"\x84\xa7version\x09"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "model").write_bytes(octets)
    with pytest.raises(BadSetting):
        load(tmp_path / "model")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="no such folder"):
        train(tmp_path / "ham", tmp_path / "spam")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 1000, bytes(range(256)) * 40, b"Subject: " + b"x" * 100_000]
)
def test_any_octets_have_tokens_and_never_raise(content: bytes) -> None:
    assert len(list(tokens_of(content))) <= 3_000
