"""DKIM messages of three projects, with the results they publish; stock dkimpy is the oracle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import dkim
import pytest
from mailchute.answers import Answer
from mailchute.errors import LookupFailed
from mailchute.verdicts import DkimVerdict

from functions.scan.dkim import check_signature, signatures_of
from functions.scan.lookups import Lookups
from functions.scan.message import Message
from tests.corpus.material import corpus

pytestmark = pytest.mark.corpus

NOW = 1_795_000_000.0

# Where our verdict is another than chasquid's, on purpose.
STRICTER = {
    "09-limited_body": {"policy"},  # text may follow what l= covers: docs/rfcs.md
}


class Zone:
    """TXT records by name; TEMPERROR is a silent server."""

    def __init__(self, records: Mapping[str, list[str]]) -> None:
        self._records = records

    def lookup(self, name: str, kind: str) -> Answer:
        texts = self._records.get(name, [])
        if texts == ["TEMPERROR"]:
            raise LookupFailed(name, kind, "timeout")
        return Answer(name=name, kind=kind, texts=tuple(t for t in texts if t != "PERMERROR"))


def verdicts(content: bytes, records: Mapping[str, list[str]], now: float = NOW) -> list[DkimVerdict]:
    content = re.sub(rb"\r?\n", b"\r\n", content)
    message = Message(content=content, client_ip="", helo="", reverse_path=None)
    lookups = Lookups(Zone(records))
    return [check_signature(message, signature, now, lookups) for signature in signatures_of(message)]


CHASQUID = {"SUCCESS": {"pass"}, "TEMPFAIL": {"temperror"}, "PERMFAIL": {"fail", "permerror"}}


def test_chasquids_messages_have_their_results() -> None:
    folder = corpus("dkim/chasquid", cases=11)
    wrong, count = [], 0
    for path in sorted(folder.glob("*.result")):
        content = _beside(path, "msg")
        found = verdicts(content.read_bytes(), _zone_file(_beside(path, "dns")))
        for ours, theirs in zip(found, json.loads(path.read_text())["Results"], strict=False):
            count += 1
            allowed = CHASQUID[theirs["State"]] | STRICTER.get(path.stem, set())
            if ours.result not in allowed:
                wrong.append(f"{path.stem}: {ours} instead of {theirs['State']}")
    assert not wrong, "\n".join(wrong)
    assert count >= 15


def test_a_message_that_is_none_has_no_valid_signature() -> None:
    content = corpus("dkim/chasquid/03-bad_message.msg", cases=1).read_bytes()
    assert all(verdict.result == "permerror" for verdict in verdicts(content, {}))


@pytest.mark.parametrize("name", ["rfc6376.signed.msg", "rfc6376.signed.rsa.msg"])
def test_the_signed_example_of_rfc_8463_passes(name: str) -> None:
    content = corpus(f"dkim/dkimpy/{name}", cases=1).read_bytes()
    found = verdicts(content, _keys_of_rfc_8463())
    assert found
    assert {verdict.result for verdict in found} == {"pass"}


def test_mimekits_gmail_message_passes_and_a_changed_one_fails() -> None:
    folder = corpus("dkim/mimekit", cases=2)
    content = (folder / "gmail.msg").read_bytes()
    pem = (folder / "gmail.pub").read_text()
    record = "k=rsa; p=" + "".join(line for line in pem.splitlines() if not line.startswith("-"))
    [signature] = signatures_of(Message(content=content, client_ip="", helo="", reverse_path=None))
    records = {f"{signature.selector}._domainkey.{signature.domain}": [record]}
    assert [v.result for v in verdicts(content, records)] == ["pass"]
    assert [v.result for v in verdicts(content + b"more\r\n", records)] == ["fail"]


def test_what_we_call_a_pass_stock_dkimpy_calls_one_too() -> None:
    """Whatever is corrected here is corrected towards refusing; a pass of ours alone is a hole."""
    folder = corpus("dkim", cases=40)
    count = 0
    for path in [*sorted(folder.glob("*/*.msg")), *sorted(folder.glob("*/*message*"))]:
        content = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        records = {**_zone_file(_beside(path, "dns")), **_keys_of_rfc_8463(), **_test_key(folder)}
        for index, ours in enumerate(verdicts(content, records)):
            count += 1
            if ours.result == "pass" and not ours.reason:
                assert _dkimpy(content, index, records), f"{path}: {ours}"
    assert count >= 30


def _dkimpy(content: bytes, index: int, records: Mapping[str, list[str]]) -> bool:
    def txt(name: bytes, timeout: float = 5) -> bytes | None:
        texts = records.get(name.decode().rstrip("."), [])
        return texts[0].encode() if texts else None

    try:
        return bool(dkim.DKIM(content).verify(idx=index, dnsfunc=txt))
    except dkim.DKIMException:
        return False


def _beside(path: Path, suffix: str) -> Path:
    """Return the file of this suffix for the case, or of the case it shares it with."""
    found = path.with_suffix(f".{suffix}")
    shared = "08-our_signature" if path.stem.startswith("09") else "01-rfc8463"
    return found if found.exists() else path.with_name(f"{shared}.{suffix}")


def _zone_file(path: Path) -> dict[str, list[str]]:
    records: dict[str, list[str]] = {}
    text = path.read_text().replace("\\\n", " ") if path.exists() else ""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            records.setdefault(name.strip(), []).append(" ".join(value.split()))
    return records


def _keys_of_rfc_8463() -> dict[str, list[str]]:
    """Return the keys that RFC 8463, A.2 publishes, under the names that its example and dkimpy's use."""
    ed25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    rsa = (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bd"
        "OKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLz"
        "BfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    )
    return {
        "brisbane._domainkey.football.example.com": [ed25519],
        "test._domainkey.football.example.com": [rsa],
    }


def _test_key(folder: Path) -> dict[str, list[str]]:
    return {"test._domainkey.example.com": [(folder / "dkimpy/test.txt").read_text().strip()]}
