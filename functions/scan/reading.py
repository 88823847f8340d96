"""What a filter reads of a mail: its text, its links, its attachments; before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from mailchute.encoded_words import decode_words
from mailchute.parts import Parts, parts_of

from .attachments import FileFacts, file_facts
from .links import Links, links_of
from .message import Message

TEXT_MAX_CHARS = 64 * 1024
_TAG = re.compile(r"<[^>]{0,2000}>")


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
        """The plain text, or the HTML without its tags where there is none."""
        plain = "\n".join(self.parts.text)[:TEXT_MAX_CHARS]
        return plain if plain.strip() else _TAG.sub(" ", self.html)

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
