"""
A token classifier for spam: naive Bayes, its evidence combined by Fisher's method (Robinson, 2003).

It is shipped untrained. `train` makes a model of two folders of mails, one mail a file; the model
holds words and how often each stood in ham and in spam, so keep it as private as the mails.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from mailchute.encoded_words import decode_words
from mailchute.errors import BadSetting
from mailchute.parts import Parts, cut_of, parts_of

MODEL_VERSION = 1
LEAST_MAILS_COUNT = 20  # of each kind; with fewer a model says nothing worth hearing
TOKENS_MAX_COUNT = 3_000  # of one mail
DECIDING_COUNT = 150  # tokens farthest from 0.5 (Robinson, 2003)
STRENGTH, ASSUMED = 0.45, 0.5  # of the belief about a token never seen (Robinson, 2003)
MAIL_MAX_OCTETS = 512 * 1024  # read of one mail when training

_WORD = re.compile(r"[\w$€£!%'’.-]{2,40}")
_URL_HOST = re.compile(r"https?://([^\s/\"'<>:?#]{3,100})", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,1000}>")
_TAG_NAME = re.compile(r"<([a-z]{1,12})[\s>]", re.IGNORECASE)
_FIELD = re.compile(rb"^([!-9;-~]{1,60}):((?:[^\r\n]|\r?\n[ \t])*)", re.MULTILINE)
_TRIM = ".-'’!"

# Header fields whose words are read; of all others only that they are there.
_READ_FIELDS = frozenset({"subject", "from", "to", "reply-to", "content-type", "x-mailer", "user-agent"})


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned."""

    version: int = MODEL_VERSION
    ham_count: int
    spam_count: int
    tokens: dict[str, tuple[int, int]]  # token → mails of ham and of spam that held it


def train(ham_dir: Path, spam_dir: Path, *, header_fields: bool = True) -> Model:
    """
    Return the model of two folders.

    Args:
        header_fields: Whether header fields are learned from; without them a model lasts longer,
            because fields betray the time and place a collection comes from.

    Raises:
        BadSetting: A folder is none, or holds too few mails to learn from.
    """
    return learn(_mails_of(ham_dir), _mails_of(spam_dir), header_fields=header_fields)


def learn(ham: Iterable[bytes], spam: Iterable[bytes], *, header_fields: bool = True) -> Model:
    """Return the model of these mails. Raises BadSetting: they are too few."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    mails = [0, 0]
    for kind, contents in enumerate((ham, spam)):
        for content in contents:
            counts[kind].update(set(tokens_of(content, header_fields=header_fields)))
            mails[kind] += 1
    if min(mails) < LEAST_MAILS_COUNT:
        least = f"at least {LEAST_MAILS_COUNT} of each are needed"
        raise BadSetting(f"{mails[0]} mails of ham and {mails[1]} of spam: {least}")
    all_tokens = counts[0].keys() | counts[1].keys()
    kept = {t: (counts[0][t], counts[1][t]) for t in all_tokens if counts[0][t] + counts[1][t] > 1}
    return Model(ham_count=mails[0], spam_count=mails[1], tokens=kept)


def save(model: Model, path: Path) -> None:
    """Write the model, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(msgspec.msgpack.encode(model))
    partial.replace(path)


def load(path: Path) -> Model:
    """
    Return the model of a file.

    Raises:
        BadSetting: It is none of ours.
    """
    try:
        model = msgspec.msgpack.decode(path.read_bytes(), type=Model)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadSetting(f"{path}: no model of `mailchute spam train` ({error})") from error
    if model.version != MODEL_VERSION:
        raise BadSetting(f"{path}: a model of version {model.version}: train it again")
    return model


def probability(model: Model, tokens: Iterable[str]) -> float | None:
    """Return how likely these tokens are a spam's, 0..1; None when the model knows none of them."""
    chosen = _deciding(model, tokens)
    if not chosen:
        return None
    spam = _chi_square_tail(-2 * sum(math.log(1 - p) for p in chosen), 2 * len(chosen))
    ham = _chi_square_tail(-2 * sum(math.log(p) for p in chosen), 2 * len(chosen))
    return (1 + ham - spam) / 2


def tokens_of(content: bytes, *, header_fields: bool = True) -> Iterator[str]:
    """Yield what a mail is known by: words, hosts, tags, and header fields."""
    header_end, _ = cut_of(content)
    yield from tokens_in(
        content[: min(header_end, 64 * 1024)], parts_of(content), header_fields=header_fields
    )


def tokens_in(header_section: bytes, parts: Parts, *, header_fields: bool = True) -> Iterator[str]:
    """Return the tokens of a mail that is cut and read already."""
    every = _all_tokens(header_section, parts, header_fields=header_fields)
    return itertools.islice(every, TOKENS_MAX_COUNT)


def _all_tokens(header_section: bytes, parts: Parts, *, header_fields: bool) -> Iterator[str]:
    for match in _FIELD.finditer(header_section):
        name = match[1].decode("ascii").lower()
        if name == "subject" or (header_fields and name in _READ_FIELDS):
            shown = decode_words(match[2].decode("utf-8", "replace"))
            yield from (f"{name}:{word}" for word in _words(shown))
        if header_fields and name not in _READ_FIELDS:
            yield f"field:{name}"
    text, html = "\n".join(parts.text), "\n".join(parts.html)
    yield from (f"tag:{tag.lower()}" for tag in set(_TAG_NAME.findall(html)))
    yield from (f"host:{host.lower()}" for host in set(_URL_HOST.findall(f"{text}\n{html}")))
    yield from (f"file:{file.name.rpartition('.')[2].lower()}" for file in parts.files)
    yield from _words(text or _TAG.sub(" ", html))


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        plain = word.strip(_TRIM).lower()
        if 3 <= len(plain) <= 24:
            yield plain
        if len(word) > 3 and word.isupper():
            yield "shout:" + plain


def _token_probability(model: Model, token: str) -> float:
    ham, spam = model.tokens[token]
    ham_share, spam_share = ham / model.ham_count, spam / model.spam_count
    seen = ham + spam
    raw = spam_share / (ham_share + spam_share)
    return (STRENGTH * ASSUMED + seen * raw) / (STRENGTH + seen)


def _deciding(model: Model, tokens: Iterable[str]) -> list[float]:
    known = [_token_probability(model, token) for token in set(tokens) if token in model.tokens]
    known = [p for p in known if abs(p - 0.5) >= 0.1]
    return sorted(known, key=_indecision)[:DECIDING_COUNT]


def _indecision(p: float) -> float:
    return -abs(p - 0.5)


def _chi_square_tail(chi: float, degrees: int) -> float:
    """Return the probability that chi-square with this even number of degrees exceeds `chi`."""
    half = chi / 2
    term = total = math.exp(-half) if half < 700 else 0.0
    for i in range(1, degrees // 2):
        term *= half / i
        total += term
    return min(total, 1.0)


def _mails_of(folder: Path) -> Iterator[bytes]:
    if not folder.is_dir():
        raise BadSetting(f"{folder}: no such folder")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as file:
                yield file.read(MAIL_MAX_OCTETS)
