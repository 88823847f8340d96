"""DNS look-ups of one check: where answers come from, and the evidence of what was asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

from mailchute.answers import Answer
from mailchute.errors import LookupFailed
from mailchute.resolver import Resolver
from mailchute.verdicts import Evidence

from .memory import Memory

T = TypeVar("T")


class NotWarm(Exception):
    """An answer is not in the cache: the check has to run where waiting is allowed."""


class Source(Protocol):
    """Whoever answers questions."""

    def lookup(self, name: str, kind: str) -> Answer: ...

    def still_says(self, answer: Answer) -> bool:
        """Say whether this very answer is still given, as far as is known without asking."""
        ...


class _Resolving:
    """What the two sources that ask a resolver have in common."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def still_says(self, answer: Answer) -> bool:
        try:
            return self._resolver.cached(answer.name, answer.kind) is answer
        except LookupFailed:
            return False


class WarmSource(_Resolving):
    """Answers from the resolver's cache alone, so that a mail whose names are known needs no threads."""

    def lookup(self, name: str, kind: str) -> Answer:
        answer = self._resolver.cached(name, kind)
        if answer is None:
            raise NotWarm
        return answer


class LiveSource(_Resolving):
    """Asks the resolver, until the scan's deadline."""

    def __init__(self, resolver: Resolver, deadline: float) -> None:
        super().__init__(resolver)
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

    def still_says(self, answer: Answer) -> bool:
        return False


class Lookups:
    """What one check asks, kept as evidence in the order it was asked."""

    def __init__(self, source: Source, memory: Memory | None = None) -> None:
        self._source = source
        self._memory = memory
        self.answers: list[Answer] = []
        self._failures: list[Evidence] = []

    @property
    def has_failed(self) -> bool:
        return bool(self._failures)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Each question once, with its answer or why there is none."""
        said = [_evidence_of(answer) for answer in self.answers] + self._failures
        return tuple({(item.name, item.type): item for item in said}.values())

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
            self._failures.append(Evidence(name=failure.name, type=kind, answers=(), error=failure.reason))
            raise
        self.answers.append(answer)
        return answer

    def recall(
        self,
        key: Hashable,
        conclude: Callable[[Lookups], T],
        *,
        unless: Callable[[Sequence[Answer]], bool] = lambda _: False,
    ) -> T:
        """
        Return what `conclude` makes of the DNS's answers: remembered while each is still the very same.

        Args:
            key: All that the conclusion depends on beside the DNS.
            unless: Says of the answers that the conclusion depends on more than that.
        """
        known = self._memory.get(key) if self._memory is not None else None
        if known is not None and all(self._source.still_says(answer) for answer in known[1]):
            self.answers += known[1]
            return known[0]  # type: ignore[no-any-return]
        before = len(self.answers)
        value = conclude(self)
        answers = tuple(self.answers[before:])
        if self._memory is not None and not self.has_failed and not unless(answers):
            self._memory.put(key, (value, answers))
        return value


def _evidence_of(answer: Answer) -> Evidence:
    return Evidence(name=answer.name, type=answer.kind, answers=answer.texts, exists=answer.is_name)
