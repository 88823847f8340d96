"""What a filter reads of a mail: its text, its links, its attachments; before anything is asked."""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from html import unescape

from mailchute.encoded_words import decode_words
from mailchute.parts import Parts, parts_of

from .attachments import FileFacts, file_facts
from .links import Links, links_of
from .message import Message

TEXT_MAX_CHARS = 64 * 1024
LETTERS_MIN_COUNT = 150  # that say something about how a text is written

_CAPITALS = string.ascii_uppercase.encode()
_LETTERS = string.ascii_letters.encode()
_TAG = re.compile(r"<[^>]{0,2000}>")
_STYLE = re.compile(r"<(/?)(style|script)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """One mail, read once for all that judges it."""

    message: Message

    @cached_property
    def parts(self) -> Parts:
        return parts_of(self.message.content)

    @cached_property
    def html(self) -> str:
        return "\n".join(self.parts.html)[:TEXT_MAX_CHARS]

    @cached_property
    def text(self) -> str:
        """The plain text, or what the HTML shows where there is none."""
        plain = "\n".join(self.parts.text)[:TEXT_MAX_CHARS]
        return plain if plain.strip() else unescape(_TAG.sub(" ", _without_styles(self.html)))

    @cached_property
    def capitals_share(self) -> float:
        """The share of the text's letters a-z that are capitals; 0 of a text too short to tell."""
        octets = self.text.encode("ascii", "ignore")
        capital_count = len(octets) - len(octets.translate(None, _CAPITALS))
        letter_count = len(octets) - len(octets.translate(None, _LETTERS))
        return capital_count / letter_count if letter_count >= LETTERS_MIN_COUNT else 0.0

    @cached_property
    def subject(self) -> str:
        return self.header_facts(("header.subject",)).get("header.subject", "")

    def header_facts(self, names: Collection[str]) -> dict[str, str]:
        """Return those of the `header.<name>` that there are, decoded; several are joined by a line break."""
        facts: dict[str, str] = {}
        for (_, value), name in zip(self.message.fields, self.message.names, strict=True):
            key = f"header.{name.decode('ascii')}"
            if key in names:
                shown = decode_words(value.decode("utf-8", "replace").strip())
                facts[key] = f"{facts[key]}\n{shown}" if key in facts else shown
        return facts

    @cached_property
    def links(self) -> Links:
        known = {self.message.author.domain, self.message.recipient_domain} - {None, ""}
        return links_of(self.text, self.html, known={str(domain) for domain in known})

    @cached_property
    def files(self) -> FileFacts:
        return file_facts(self.parts.files)


def _without_styles(page: str) -> str:
    """Return a page without its style sheets and programs; one that is never closed stays."""
    shown: list[str] = []
    at, inside = 0, ""
    for match in _STYLE.finditer(page):
        tag = match[2].lower()
        if not inside and not match[1]:
            shown.append(page[at : match.start()])
            at, inside = match.start(), tag
        elif inside == tag and match[1]:
            at, inside = match.start(), ""
    return "".join((*shown, page[at:]))
