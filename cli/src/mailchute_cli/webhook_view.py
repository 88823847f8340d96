"""A webhook as a person likes to read it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .table import cell

WIDTH = 110  # what fits on one line stands on one line
TEXT_CHARACTERS = 240  # of one string that is shown; the file has all
LISTED = 6  # elements of one list
STEP = "  "


def shown(told: dict[str, Any], payload: dict[str, Any], path: Path) -> str:
    """
    Return the webhook as lines: what was verified, what it says, where all of it lies.

    Args:
        told: The receiver's line: at, is_verified, fields, body.
        path: The file with the whole payload.
    """
    if told["is_verified"]:
        verdict = click.style("✓ verified by standardwebhooks", fg="green")
    else:
        verdict = click.style("✗ NOT verified: answered 401", fg="red")
    rule = click.style("─" * WIDTH, dim=True)
    octets = len(told["body"].encode())
    fields = [f"{STEP}{click.style(name, fg='cyan')}: {value}" for name, value in told["fields"].items()]
    return "\n".join(
        (
            "",
            f"{click.style('webhook', bold=True)}  {payload['event']}, {octets:,} octets   {verdict}",
            rule,
            *fields,
            "",
            *lines_of(payload),
            rule,
            f"all of it, unshortened: {os.path.relpath(path)}",
            "",
        )
    )


def lines_of(payload: Any) -> Iterator[str]:
    """Yield the payload as JSON for a person: long texts and lists shortened, all of it printable."""
    return _lines(payload, STEP, "", "")


def _lines(value: Any, indent: str, key: str, comma: str) -> Iterator[str]:
    """Yield JSON of `value` behind its key: on one line where it fits, else an element a line."""
    label = f"{click.style(json.dumps(key), fg='cyan')}: " if key else ""
    short = cell(json.dumps(_shortened(value), ensure_ascii=False))
    room = WIDTH - len(indent) - len(key) - 5
    if not isinstance(value, (dict, list)) or not value or (len(short) <= room and indent != STEP):
        yield f"{indent}{label}{short}{comma}"
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield f"{indent}{label}{opening}"
    if isinstance(value, dict):
        elements = list(value.items())
    else:
        elements = [("", each) for each in value[:LISTED]]
        if len(value) > LISTED:
            elements.append(("", f"… {len(value) - LISTED} more"))
    for number, (name, each) in enumerate(elements, 1):
        yield from _lines(each, indent + STEP, name, "," if number < len(elements) else "")
    yield f"{indent}{closing}{comma}"


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        return f"{value[:TEXT_CHARACTERS]}… ({len(value):,} characters)"
    return value
