"""The parts of a condition, kept so that it can be said which of them decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One comparison, or several joined by `and`, `or` or `not`."""

    word: str  # "and", "or", "not"; "" for a comparison
    text: str  # as it was written
    value: Callable[[Facts], Any]  # truth of it; None where the mail has no such thing
    names: tuple[str, ...] = ()  # the facts a comparison asks for
    parts: tuple[Clause, ...] = ()

    def deciding(self, facts: Facts) -> Iterator[Clause]:
        """
        Yield the comparisons that make it true or false of these facts.

        What could have been otherwise without changing the answer is left out: of an `or` that holds
        only the first part that does, of an `and` that does not only the first that fails.
        """
        if self.word == "":
            yield self
        elif self.word == "not":
            yield from self.parts[0].deciding(facts)
        else:
            settles = self.word == "or"
            settled = next((one for one in self.parts if bool(one.value(facts)) == settles), None)
            for one in self.parts if settled is None else (settled,):
                yield from one.deciding(facts)


def joined(word: str, left: Clause, right: Clause, text: str) -> Clause:
    """Return the clause `left word right`."""
    a, b = left.value, right.value

    def both(facts: Facts) -> bool:
        return bool(a(facts) and b(facts))

    def either(facts: Facts) -> bool:
        return bool(a(facts) or b(facts))

    return Clause(word=word, text=text, value=both if word == "and" else either, parts=(left, right))


def negated(inner: Clause, text: str) -> Clause:
    """Return the clause `not inner`."""
    value = inner.value
    return Clause(word="not", text=text, value=lambda facts: not value(facts), parts=(inner,))
