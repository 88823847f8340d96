"""Records as a BIND zone, or a Terraform snippet, writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from mailchute.domain_records import Record

TTL_S = 3_600
STRING_MAX_OCTETS = 255  # RFC 1035, 3.3: of one character-string


def bind_of(records: Iterable[Record]) -> str:
    """Return lines for a zone file (RFC 1035, 5.1), each name in full."""
    lines = (f"{one.name}.\t{TTL_S}\tIN\t{one.type}\t{_data(one)}" for one in records)
    return "\n".join(lines) + "\n"


def terraform_of(records: Iterable[Record], *, zone: str) -> str:
    """
    Return resources of Terraform's own `dns` provider, which speaks to any server by RFC 2136.

    Args:
        zone: The zone the records lie in, without the final dot.
    """
    return "\n".join(_resource(one, zone) for one in records)


def _resource(one: Record, zone: str) -> str:
    label = re.sub(r"[^0-9A-Za-z_]+", "_", f"{one.kind}_{one.name}")
    below = one.name.removesuffix(zone).rstrip(".")
    name = f"  name = {json.dumps(below)}\n" if below else ""
    if one.type == "MX":
        preference, host = one.expected.split()
        body = f"  mx {{\n    preference = {preference}\n    exchange   = {json.dumps(host + '.')}\n  }}\n"
    elif one.type == "TXT":
        body = f"  txt  = [{json.dumps(one.expected)}]\n"
    else:
        body = f"  cname = {json.dumps(one.expected + '.')}\n"
    kind = "dns_cname_record" if one.type == "CNAME" else f"dns_{one.type.lower()}_record_set"
    return (
        f'resource "{kind}" {json.dumps(label)} {{\n  zone = {json.dumps(zone + ".")}\n{name}'
        f"  ttl  = {TTL_S}\n{body}}}\n"
    )


def _data(one: Record) -> str:
    if one.type == "MX":
        return f"{one.expected}."
    if one.type == "CNAME":
        return f"{one.expected}."
    octets = one.expected.encode()
    parts = [octets[at : at + STRING_MAX_OCTETS] for at in range(0, len(octets), STRING_MAX_OCTETS)]
    escaped = (part.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return " ".join(f'"{part}"' for part in escaped)
