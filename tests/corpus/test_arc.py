"""The ValiMail ARC suite: 171 chains, each valid, broken or none."""

from __future__ import annotations

import re

import pytest
import yaml
from mailchute.answers import Answer
from mailchute.errors import LookupFailed
from mailchute.verdicts import ArcVerdict

from functions.scan.arc import check_chain
from functions.scan.lookups import Lookups
from functions.scan.message import Message
from tests.corpus.material import corpus

pytestmark = pytest.mark.corpus


class Zone:
    """TXT records by name."""

    def __init__(self, records: dict[str, str]) -> None:
        self._records = records

    def lookup(self, name: str, kind: str) -> Answer:
        texts = (self._records[name],) if name in self._records else ()
        return Answer(name=name, kind=kind, texts=texts)


def test_every_chain_of_the_suite_has_its_state() -> None:
    suite = corpus("arc/arc-draft-validation-tests.yml", cases=171)
    wrong, count = [], 0
    for part in yaml.safe_load_all(suite.read_text()):
        zone = Zone({name.lower(): text for name, text in part["txt-records"].items()})
        for name, case in part["tests"].items():
            content = re.sub(rb"\r?\n", b"\r\n", case["message"].encode())
            found = check_chain(_message(content), ("example.org",), Lookups(zone))
            # Empty in the suite where a seal itself says cv=fail; RFC 8617, 5.2 (2) calls that fail.
            expected = str(case["cv"]).strip().lower() or "fail"
            count += 1
            if found.result != expected:
                wrong.append(f"{part['description']}/{name}: {found} instead of {expected}")
    assert not wrong, "\n".join(wrong)
    assert count == 171


def test_a_valid_chain_is_believed_only_from_a_sealer_on_the_list() -> None:
    suite = corpus("arc/arc-draft-validation-tests.yml", cases=1)
    part = next(yaml.safe_load_all(suite.read_text()))
    content = re.sub(rb"\r?\n", b"\r\n", part["tests"]["cv_pass_i1_1"]["message"].encode())
    lookups = Lookups(Zone(part["txt-records"]))
    assert check_chain(_message(content), (), lookups) == ArcVerdict(
        result="pass", instance=1, sealers=("example.org",), trusted=False
    )
    assert check_chain(_message(content), ("example.org",), lookups).trusted


class Silence:
    """A DNS that does not answer."""

    def lookup(self, name: str, kind: str) -> Answer:
        raise LookupFailed(name, kind, "timeout")

    def still_says(self, answer: Answer) -> bool:
        return False


def test_a_chain_whose_key_the_dns_keeps_back_is_a_temperror_that_names_it() -> None:
    suite = corpus("arc/arc-draft-validation-tests.yml", cases=1)
    part = next(yaml.safe_load_all(suite.read_text()))
    content = re.sub(rb"\r?\n", b"\r\n", part["tests"]["cv_pass_i1_1"]["message"].encode())
    found = check_chain(_message(content), ("example.org",), Lookups(Silence()))
    assert (found.result, found.instance, found.trusted) == ("temperror", 1, False)
    assert "_domainkey.example.org" in (found.reason or "")


def _message(content: bytes) -> Message:
    return Message(content=content, client_ip="", helo="", reverse_path=None)
