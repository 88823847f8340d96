"""A list as a person reads it, or as a program does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
from mailchute import wire

AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


def show(heads: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> None:
    """Print aligned columns under their heads; `nothing` where there is no row."""
    for line in lines_of(heads, rows) or (nothing,):
        print(line)


def lines_of(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return aligned columns under their heads; [] where there is no row."""
    texts = [[cell(value) for value in row] for row in rows]
    if not texts:
        return []
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in ([head.upper() for head in heads], *texts)
    ]


def show_json(value: object) -> None:
    print(wire.encode_json(value).decode())


def cell(value: object) -> str:
    """Return the value on one line: `-` for none, a time to the second, text without control characters."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    # What a stranger wrote must not move the cursor or colour the terminal.
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))
