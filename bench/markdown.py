"""
html-to-markdown beside markdownify: `.venv/bin/python -m bench.markdown` (docs/adr/0002-html-to-markdown.md).

On every HTML part of the corpus, and on the newsletters the bench sends: do both say the same words in
the same order, do they keep the same links, and what does each cost?
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailchute import wire
from mailchute.parsed import ParseRequest

from bench.corpus_mime import messages
from bench.corpus_score import CORPUS
from bench.parse_cpu import mails_of
from functions.parse.bodies import sort_leaves
from functions.parse.entity import read_mail
from functions.parse.limits import HTML_DEPTH_MAX_COUNT
from functions.parse.markdown import ENGINES, Engine, markdown_by
from functions.parse.markup import read_markup

WORD = re.compile(r"[^\W_]+")
TARGET = re.compile(r"\]\(<?([^\s)>]+)")


@dataclass
class Comparison:
    """What came of one set of HTML parts."""

    parts: int = 0
    same_words: int = 0  # the same words in the same order
    overlap: list[float] = field(default_factory=list)  # share of words in common, part by part
    same_links: int = 0
    refused: Counter[Engine] = field(default_factory=Counter)
    spent_s: dict[Engine, float] = field(default_factory=lambda: dict.fromkeys(ENGINES, 0.0))
    octets: int = 0

    def add(self, html: str) -> None:
        """Convert one part with both."""
        self.parts += 1
        self.octets += len(html)
        made = {engine: self._timed(engine, html) for engine in ENGINES}
        one, other = (WORD.findall(TARGET.sub("](", made[engine])) for engine in ENGINES)
        self.same_words += one == other
        common = sum((Counter(one) & Counter(other)).values())
        self.overlap.append(2 * common / (len(one) + len(other)) if one or other else 1.0)
        links = [set(TARGET.findall(made[engine])) for engine in ENGINES]
        self.same_links += links[0] == links[1]

    def _timed(self, engine: Engine, html: str) -> str:
        started = time.process_time()
        try:
            return markdown_by(engine, html)
        except (Exception, RecursionError):  # noqa: BLE001 - counted
            self.refused[engine] += 1
            return ""
        finally:
            self.spent_s[engine] += time.process_time() - started

    def report(self, name: str) -> str:
        """Return the figures as lines."""
        words = sum(self.overlap) / len(self.overlap) if self.overlap else 0
        lines = [
            f"{name}: {self.parts} HTML parts, {self.octets / 1024:.0f} KB",
            f"  the same words in the same order {self.same_words}/{self.parts}",
            f"  words in common {words:.1%}, the same link targets {self.same_links}/{self.parts}",
        ]
        for engine in ENGINES:
            per_kb = self.spent_s[engine] * 1e3 / max(1, self.octets / 1024)
            lines.append(f"  {engine:<17} {per_kb:6.3f} ms/KB, refused {self.refused[engine]}")
        return "\n".join(lines)


def corpus_parts() -> Iterator[str]:
    """Yield the HTML of the corpus that goes to an engine at all."""
    for path in messages():
        try:
            root = read_mail(path.read_bytes())
        except Exception:  # noqa: BLE001 - over a limit: no HTML is read
            continue
        for slot in sort_leaves(root).slots:
            if slot.html and read_markup(slot.html).depth <= HTML_DEPTH_MAX_COUNT:
                yield slot.html


def newsletter_parts() -> Iterator[str]:
    """Yield the HTML of the bench's newsletters."""
    for request in mails_of("newsletter", 10):
        content = wire.decode(request, ParseRequest).mail.content
        assert isinstance(content, bytes)
        yield from (slot.html for slot in sort_leaves(read_mail(content)).slots if slot.html)


def main() -> None:
    for name, parts in (("corpus", corpus_parts()), ("newsletters", newsletter_parts())):
        if name == "corpus" and not CORPUS.is_dir():
            continue
        comparison = Comparison()
        for html in parts:
            comparison.add(html)
        print(comparison.report(name))


if __name__ == "__main__":
    main()
