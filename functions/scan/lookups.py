"""DNS look-ups of one check: where answers come from, and the evidence of what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailchute.answers import Answer
from mailchute.errors import LookupFailed
from mailchute.resolver import Resolver
from mailchute.verdicts import Evidence


class NotWarm(Exception):
    """An answer is not in the cache: the check has to run where waiting is allowed."""


class Source(Protocol):
    """Whoever answers questions."""

    def lookup(self, name: str, kind: str) -> Answer: ...


class WarmSource:
    """Answers from the resolver's cache alone, so that a mail whose names are known needs no threads."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def lookup(self, name: str, kind: str) -> Answer:
        answer = self._resolver.cached(name, kind)
        if answer is None:
            raise NotWarm
        return answer


class LiveSource:
    """Asks the resolver, until the scan's deadline."""

    def __init__(self, resolver: Resolver, deadline: float) -> None:
        self._resolver = resolver
        self._deadline = deadline

    def lookup(self, name: str, kind: str) -> Answer:
        return self._resolver.lookup(name, kind, deadline=self._deadline)


class EvidenceSource:
    """Answers from evidence that was recorded; what is not in it fails, as a silent DNS would."""

    def __init__(self, evidence: Iterable[Evidence]) -> None:
        self._evidence = {(item.name, item.type): item for item in evidence}

    def lookup(self, name: str, kind: str) -> Answer:
        key = (name.lower().rstrip("."), kind)
        item = self._evidence.get(key)
        if item is None:
            raise LookupFailed(*key, "not in the evidence")
        if item.error is not None:
            raise LookupFailed(*key, item.error)
        return Answer(name=key[0], kind=kind, texts=item.answers, is_name=item.exists)


class Lookups:
    """What one check asks, kept as evidence in the order it was asked."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._asked: dict[tuple[str, str], Evidence] = {}

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(self._asked.values())

    def lookup(self, name: str, kind: str) -> Answer:
        """
        Return the answer.

        Raises:
            LookupFailed: The DNS did not say.
            NotWarm: Only the cache may be asked, and does not know.
        """
        try:
            answer = self._source.lookup(name, kind)
        except LookupFailed as failure:
            self._note(Evidence(name=failure.name, type=kind, answers=(), error=failure.reason))
            raise
        self._note(Evidence(name=answer.name, type=kind, answers=answer.texts, exists=answer.is_name))
        return answer

    def _note(self, evidence: Evidence) -> None:
        self._asked[evidence.name, evidence.type] = evidence
