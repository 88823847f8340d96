"""A webhook as a person likes to read it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

TEXT_CHARACTERS = 160  # of one string in the JSON that is shown; the file has all
LISTED = 6  # elements of one list


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
    rule = click.style("─" * 100, dim=True)
    octets = len(told["body"].encode())
    fields = [f"  {click.style(name, dim=True)}: {value}" for name, value in told["fields"].items()]
    body = "\n".join(
        f"  {line}" for line in json.dumps(_brief(payload), indent=2, ensure_ascii=False).split("\n")
    )
    whole = os.path.relpath(path)
    return "\n".join(
        (
            "",
            f"{click.style('webhook', bold=True)}  {payload['event']}, {octets:,} octets   {verdict}",
            rule,
            *fields,
            "",
            body,
            rule,
            f"the whole of it: {whole}",
            "",
        )
    )


def _brief(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _brief(each) for key, each in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - LISTED} more"] if len(value) > LISTED else []
        return [_brief(each) for each in value[:LISTED]] + more
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        return f"{value[:TEXT_CHARACTERS]}… ({len(value):,} characters)"
    return value
