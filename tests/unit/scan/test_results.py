"""Our own Authentication-Results: nothing in a mail or its envelope can write a second result into it."""

from __future__ import annotations

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailchute.verdicts import ArcVerdict, Auth, DkimVerdict, DmarcVerdict, SpfVerdict

from functions.scan.results import authentication_results

HOST = "mx.us.example"


def written(
    auth: Auth, mail_from: str = "joe@example.org", helo: str = "mx.example.org", ip: str = ""
) -> str:
    return authentication_results(auth, HOST, mail_from=mail_from, helo=helo, client_ip=ip)


def read(body: str) -> list[tuple[str, str]]:
    """Return the methods and results that a reader of RFC 8601 finds."""
    ascii_body = body.encode("ascii", "replace").decode()  # authres knows no RFC 6532
    header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {ascii_body}")
    assert header.authserv_id == HOST
    return [(result.method, result.result) for result in header.results]


def test_all_that_was_found_is_told() -> None:
    auth = Auth(
        spf=SpfVerdict(result="pass", domain="example.org", helo_result="none"),
        dkim=(
            DkimVerdict(result="pass", domain="example.org", selector="s1", algorithm="rsa-sha256"),
            DkimVerdict(result="fail", domain="list.example", selector="s2", reason='say "no"'),
        ),
        dmarc=DmarcVerdict(result="pass", domain="example.org"),
        arc=ArcVerdict(result="pass", instance=1),
        iprev="pass",
    )
    body = written(auth, ip="192.0.2.1")
    results = [("spf", "pass"), ("spf", "none"), ("dkim", "pass"), ("dkim", "fail"), ("dmarc", "pass")]
    assert read(body) == [*results, ("arc", "pass"), ("iprev", "pass")]
    assert "smtp.mailfrom=joe@example.org" in body
    assert 'dkim=fail reason="say \\"no\\"" header.d=list.example' in body


def test_nothing_found_is_told_too() -> None:
    assert read(written(Auth(), helo="")) == [("spf", "none"), ("dkim", "none"), ("dmarc", "none")]


FORGED = [
    "x@bank.example; dmarc=pass header.from=bank.example",
    "x(@bank.example); dkim=pass",
    'x"; dkim=pass header.d=bank.example; "@a.example',
    "x\\@a.example",
    "x\r\n dmarc=pass@a.example",
    "x\x00@a.example",
    "ü@bücher.example",
    "",
]


@pytest.mark.parametrize("text", FORGED, ids=repr)
def test_no_identity_writes_a_result(text: str) -> None:
    auth = Auth(
        spf=SpfVerdict(result="fail", helo_result="fail"),
        dkim=(DkimVerdict(result="fail", domain=text, selector=text, algorithm=text, reason=text),),
        dmarc=DmarcVerdict(result="fail", domain=text, reason=text),
    )
    body = written(auth, mail_from=text, helo=text)
    assert {result for _, result in read(body)} == {"fail"}
    assert body.isprintable()


@given(st.text(max_size=60))
def test_no_text_writes_a_result(text: str) -> None:
    auth = Auth(spf=SpfVerdict(result="fail"), dmarc=DmarcVerdict(result="fail", domain=text, reason=text))
    body = written(auth, mail_from=text, helo="")
    assert read(body) == [("spf", "fail"), ("dkim", "none"), ("dmarc", "fail")]
