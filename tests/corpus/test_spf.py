"""The 203 cases of the openspf suite for RFC 7208, asked over real DNS."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from mailchute.envelope import Path
from mailchute.resolver import Resolver
from mailchute.settings import DnsSettings

from functions.scan.lookups import LiveSource, Lookups
from functions.scan.message import Message
from functions.scan.spf import SpfFinding, check_mail_from
from tests.corpus.material import corpus
from tests.servers.dns import DnsServer

pytestmark = pytest.mark.corpus


def test_every_case_of_the_suite_has_its_result(dns: DnsServer) -> None:
    suite = corpus("spf/rfc7208-tests.yml", cases=203)
    wrong, count = [], 0
    for part in yaml.safe_load_all(suite.read_text()):
        dns.zone.clear()
        dns.zone.update(_zone(part["zonedata"]))
        settings = DnsSettings(host=dns.host, port=dns.port)
        for name, case in part["tests"].items():
            resolver = Resolver(settings, query_timeout_s=0.1, lookup_timeout_s=0.2)
            found = _check(case, Lookups(LiveSource(resolver, resolver.now() + 20)))
            expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
            count += 1
            if found.result not in expected:
                wrong.append(f"{name}: {found} instead of {expected}")
    assert not wrong, "\n".join(wrong)
    assert count == 203


def _check(case: dict[str, Any], lookups: Lookups) -> SpfFinding:
    sender = case["mailfrom"]
    reverse_path = None
    if sender:
        local_part, _, domain = sender.rpartition("@")
        reverse_path = Path(local_part or "postmaster", domain.lower())
    message = Message(content=b"", client_ip=case["host"], helo=case["helo"], reverse_path=reverse_path)
    return check_mail_from(message, lookups)


def _zone(data: dict[str, list[Any]]) -> dict[str, Any]:
    """Return a zone of ours: TIMEOUT silences what follows it; SPF (type 99) stands for TXT too."""
    zone: dict[str, Any] = {}
    for name, items in data.items():
        records: dict[str, Any] = {}
        silent = is_txt_given = False
        for item in items:
            if item == "TIMEOUT":
                silent = True
                continue
            if isinstance(item, str):
                continue
            [(kind, value)] = item.items()
            if kind == "MX":
                records.setdefault("MX", []).append(f"{value[0]} {value[1] or '.'}")
            elif value == "NONE":
                is_txt_given = True
            else:
                texts = tuple(value) or ("",) if isinstance(value, list) else value
                records.setdefault(kind, []).append(texts)
        if not is_txt_given and "TXT" not in records and "SPF" in records:
            records["TXT"] = records["SPF"]
        if silent:
            records = {**dict.fromkeys(("A", "AAAA", "MX", "TXT", "PTR"), "timeout"), **records}
        zone[name.lower()] = records or "timeout"
    return zone
