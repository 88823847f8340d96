"""`mailchute explain`: where one mail would go and why, with nothing kept and nothing sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from mailchute import envelope
from mailchute.errors import BadSetting, MalformedPath

from .control import on_installation, opened
from .explanation_view import shown
from .functions import Functions
from .rehearsal import Explanation, GivenEnvelope, addressee_of, explained
from .send import LINE_END, read_content
from .table import AS_JSON, show_json


@click.command(short_help="Where a mail would go and why; sends nothing.")
@click.argument("address")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--envelope",
    "given",
    default="{}",
    metavar="JSON",
    help='What is known of the session: {"reverse_path": "ada@example.org", "client_ip": "192.0.2.1"}.',
)
@AS_JSON
@on_installation
def explain(address: str, file: Path, given: str, as_json: bool, data: Path | None) -> None:
    """
    Say what would become of FILE (a mail; - is stdin), were it sent to ADDRESS now.

    The alias and why it is that one, each rule with what made it true or false, the verdicts, and each signed
    request as it would be made. The running functions work it out; nothing is kept, nothing is sent. Exits
    with 0 if it would be delivered, 3 if a rule would reject it, 4 if the address is nobody's.
    """
    functions = Functions(data)
    content, envelope_given = LINE_END.sub(b"\r\n", read_content(file)), _envelope(given)
    with opened(data) as control, control.database.read() as connection:
        addressee = addressee_of(connection, _address(address))
    found = explained(addressee, functions, content=content, given=envelope_given, now=datetime.now(UTC))
    if as_json:
        show_json(_for_programs(found))
    else:
        click.echo("\n".join(shown(found)))
    if found.answer is None:
        raise SystemExit(4)
    if found.answer.decision == "reject":
        raise SystemExit(3)


def _address(text: str) -> envelope.Path:
    try:
        return envelope.Path.parse(text)
    except MalformedPath as error:
        raise BadSetting(f"{text!r} is no address: {error}") from None


def _envelope(text: str) -> GivenEnvelope:
    try:
        given = msgspec.json.decode(text, type=GivenEnvelope)
        if given.reverse_path.strip("<>"):
            envelope.Path.parse(given.reverse_path)
    except (msgspec.MsgspecError, MalformedPath) as error:
        raise BadSetting(f"--envelope cannot be read: {error}") from None
    return given


def _for_programs(found: Explanation) -> dict[str, object]:
    """Return it as JSON has it: header sections and bodies as text, octets that are none replaced."""
    answer, addressee = found.answer, found.addressee
    return {
        "address": str(addressee.address),
        "candidates": addressee.candidates,
        "alias": addressee.alias,
        "report": found.report,
        "decision": answer.decision if answer else None,
        "rule": answer.rule if answer else None,
        "tags": answer.tags if answer else (),
        "rules": answer.trace if answer else (),
        "requests": [
            {
                "url": one.url,
                "refusal": one.refusal,
                "head": one.head.decode("utf-8", "replace"),
                "body": one.body.decode("utf-8", "replace"),
            }
            for one in found.requests
        ],
    }
