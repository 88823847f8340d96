"""Whether an alias can follow a rule: an endpoint to route to, a format to drop something from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from mailchute.alias import RAW_FORMATS, Rule


class Reachable(Protocol):
    """An endpoint as a routes file or a list has it."""

    @property
    def url(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def include(self) -> Sequence[str]: ...


def why_not(rule: Rule, alias: str, endpoints: Iterable[Reachable]) -> Iterator[str]:
    """
    Yield why the alias could not follow the rule; nothing when it can.

    Args:
        alias: Its name, for a person.
    """
    if rule.then == "route" and rule.endpoint_url not in {one.url for one in endpoints}:
        yield f"{rule.endpoint_url} is no endpoint of {alias}, to which a rule would route"
    if rule.then == "drop":
        for one in endpoints:
            if one.format in RAW_FORMATS or "raw" in one.include:
                yield f"{one.url} gets the mail as received, from which no attachment can be dropped"
