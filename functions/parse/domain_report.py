"""Reports that a domain gets about itself: DMARC aggregate (RFC 9990, RFC 7489 7.2) and TLS (RFC 8460)."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

RECORDS_MAX_COUNT = 1_000  # shown of one report, about 150 KB of payload; the attachment holds all
_DOCTYPE = re.compile(rb"<!\s*(?:doctype|entity)", re.IGNORECASE)
_NAMESPACE = re.compile(rb"\sxmlns(?::\w+)?=(?:\"[^\"]*\"|'[^']*')")
_REPORT_BEGIN = re.compile(rb"<feedback\b")
_REPORT_END = b"</feedback>"


def dmarc_report(octets: bytes) -> dict[str, Any] | None:
    """Return the aggregate report in this XML, or None where it is none. Entities are never expanded."""
    if b"<feedback" not in octets[:4096] or _DOCTYPE.search(octets):
        return None
    # Some senders wrap it in a schema element that they never close: only the report itself is read.
    octets = octets.decode("utf-8", "replace").encode()
    begin, end = _REPORT_BEGIN.search(octets), octets.rfind(_REPORT_END)
    if begin is None or end < begin.start():
        return None
    octets = _NAMESPACE.sub(b"", octets[begin.start() : end + len(_REPORT_END)])
    try:
        root = ET.fromstring(octets)  # noqa: S314 - no DOCTYPE, so no entities
    except ET.ParseError:
        return None
    records = root.findall("record")
    return {
        "kind": "dmarc-aggregate",
        "orgName": root.findtext("report_metadata/org_name"),
        "email": root.findtext("report_metadata/email"),
        "reportId": root.findtext("report_metadata/report_id"),
        "begin": root.findtext("report_metadata/date_range/begin"),
        "end": root.findtext("report_metadata/date_range/end"),
        "domain": root.findtext("policy_published/domain"),
        "policy": root.findtext("policy_published/p"),
        "recordCount": len(records),
        "records": [_record(record) for record in records[:RECORDS_MAX_COUNT]],
    }


def _record(record: ET.Element) -> dict[str, Any]:
    count = (record.findtext("row/count") or "").strip()
    return {
        "sourceIp": record.findtext("row/source_ip"),
        "count": int(count) if count.isdecimal() and len(count) < 15 else None,
        "disposition": record.findtext("row/policy_evaluated/disposition"),
        "dkim": record.findtext("row/policy_evaluated/dkim"),
        "spf": record.findtext("row/policy_evaluated/spf"),
        "headerFrom": record.findtext("identifiers/header_from"),
    }


def tls_report(octets: bytes) -> dict[str, Any] | None:
    """Return the TLS report in this JSON, or None where it is none."""
    try:
        report = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or "policies" not in report:
        return None
    span = _dict(report.get("date-range"))
    policies = report["policies"] if isinstance(report["policies"], list) else []
    return {
        "kind": "tls",
        "orgName": _text(report.get("organization-name")),
        "reportId": _text(report.get("report-id")),
        "begin": _text(span.get("start-datetime")),
        "end": _text(span.get("end-datetime")),
        "policies": [_policy(_dict(each)) for each in policies[:RECORDS_MAX_COUNT]],
    }


def _policy(entry: dict[str, Any]) -> dict[str, Any]:
    policy, summary = _dict(entry.get("policy")), _dict(entry.get("summary"))
    return {
        "type": _text(policy.get("policy-type")),
        "domain": _text(policy.get("policy-domain")),
        "successCount": _count(summary.get("total-successful-session-count")),
        "failureCount": _count(summary.get("total-failure-session-count")),
    }


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value[:1_000] if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**53 else None
