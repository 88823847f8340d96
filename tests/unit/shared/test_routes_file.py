"""A routes file: what it wants, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mailchute.alias import Rule
from mailchute.errors import BadSetting
from mailchute.routes.file import parse_routes, read_routes
from mailchute.routes.values import check_client_certificate
from mailchute.store.wanted import WantedAlias, WantedEndpoint

from tests.servers.certificates import Authority

SECRET = "whsec_" + "QUFB" * 8

WHOLE = f"""
version: 1
retention: 24h
domains:
  Inbox.test:
    support: https://api.example/tickets
    no: https://api.example/yaml-calls-this-false
    Invoices:
      endpoints:
        - https://api.example/a?x=1
        - url: https://api.example/b
          secret: {SECRET}
          format: postmark
          basic_auth: "user:pass:word"
          headers: {{X-Team: billing, Authorization: Bearer x}}
          include: [raw, html_safe]
      rules:
        - {{if: "sender.domain == 'partner.example'", then: allow}}
        - {{if: "spam.score >= 7", then: block, notify: false}}
        - {{if: "spam.score >= 5", then: tag, tag: maybe}}
      attachments: {{inline_below: 64KiB}}
      spam: {{threshold: 6.5}}
      mode: async
    order-*: {{endpoints: [https://api.example/orders], priority: 7}}
    /ticket-([0-9]+)/: https://api.example/by-number
    "*": https://api.example/catch-all
  "*.inbox.test":
    "*": https://api.example/below
"""


def test_a_whole_file_is_what_it_wants() -> None:
    wanted = parse_routes(WHOLE)
    own, below = wanted.domains
    assert wanted.retention_s == 86_400
    assert (own.name, below.name) == ("inbox.test", "*.inbox.test")
    support, no, invoices, orders, tickets, rest = own.aliases
    assert support == WantedAlias(
        name="support", kind="exact", match="support",
        endpoints=(WantedEndpoint(url="https://api.example/tickets"),),
    )  # fmt: skip
    assert (no.name, invoices.match) == ("no", "invoices")
    assert invoices.endpoints == (
        WantedEndpoint(url="https://api.example/a?x=1"),
        WantedEndpoint(
            url="https://api.example/b", secret=SECRET, format="postmark", basic_auth="user:pass:word",
            headers=(("X-Team", "billing"), ("Authorization", "Bearer x")), include=("html_safe", "raw"),
        ),
    )  # fmt: skip
    assert invoices.rules == (
        Rule(when="sender.domain == 'partner.example'", then="allow"),
        Rule(when="spam.score >= 7", then="block"),
        Rule(when="spam.score >= 5", then="tag", tag="maybe"),
    )
    assert (invoices.inline_limit_octets, invoices.spam_threshold) == (65_536, 6.5)
    assert (orders.kind, orders.match, orders.priority) == ("glob", "order\\-(.*)", 7)
    assert (tickets.kind, tickets.match) == ("regex", "ticket-([0-9]+)")
    assert (rest.kind, rest.match) == ("catch-all", "")


def test_a_domain_may_take_no_mail_in_clear_and_still_have_an_alias_called_tls() -> None:
    text = "version: 1\ndomains:\n  a.test: {tls: required, one: https://a.example}\n  b.test: {tls: https://a.example}"
    required, plain = parse_routes(text).domains
    assert (required.requires_tls, [one.name for one in required.aliases]) == (True, ["one"])
    assert (plain.requires_tls, [one.name for one in plain.aliases]) == (False, ["tls"])


def test_an_alias_may_let_its_senders_wait_for_the_answer_of_its_webhook() -> None:
    [domain] = parse_routes(
        "version: 1\ndomains:\n  a.test:\n"
        "    one: {endpoints: [https://a.example], mode: through}\n    two: https://a.example"
    ).domains
    assert [one.mode for one in domain.aliases] == ["through", "async"]


def test_an_endpoint_may_be_signed_for_by_key_and_shown_a_certificate(authority: Authority) -> None:
    pem = authority.issue("mailchute").read_text()
    text = yaml.safe_dump(
        {
            "version": 1,
            "domains": {
                "a.test": {
                    "one": {
                        "endpoints": [
                            {"url": "https://a.example", "signature": "v1a", "client_certificate": pem}
                            | {"rate": "30/min", "verify": True}
                        ]
                    }
                }
            },
        }
    )
    (endpoint,) = parse_routes(text).domains[0].aliases[0].endpoints
    assert (endpoint.signs_v1a, endpoint.client_certificate) == (True, pem)
    assert (endpoint.rate_per_s, endpoint.wants_challenge) == (0.5, True)
    key, _, certificate = pem.partition("-----BEGIN CERTIFICATE-----")
    other = authority.issue("another").read_text().partition("-----BEGIN CERTIFICATE-----")[0]
    for wrong in (
        key,
        f"-----BEGIN CERTIFICATE-----{certificate}",
        f"{other}-----BEGIN CERTIFICATE-----{certificate}",
    ):
        with pytest.raises(ValueError, match=r"PEM|not that of"):
            check_client_certificate(wrong)


RULES = """
version: 1
domains:
  a.test:
    rules:
      - {if: {virus: true}, then: block}
    preset: internal
    one:
      endpoints: [https://a.example/all, https://a.example/invoices]
      rules:
        - {if: {any: [{subject: {contains: invoice}}, {recipient.tag: [bills, 2026-11-21]}]}, then: route,
           to: https://a.example/invoices}
        - {if: "size > 1MiB", then: drop, attachments: [.exe, "image/*"]}
        - {if: "size > 9MiB", then: drop, attachments: all}
      preset: {for: transactional, known: [Partner.example, Robot@a.example]}
    preset2: {endpoints: [https://a.example], preset: public}
  b.test:
    rules: https://a.example/an-alias-called-rules
    preset: {endpoints: [https://a.example/an-alias-called-preset]}
"""


def test_rules_of_aliases_and_domains_are_read_in_their_order() -> None:
    own, other = parse_routes(RULES).domains
    assert own.rules == (
        Rule(when="virus == true", then="block"),
        Rule(when="spam.score >= 5", then="block"),
    )
    one, public = own.aliases
    assert one.rules == (
        Rule(
            when='subject contains "invoice" or recipient.tag in ["bills", "2026-11-21"]', then="route",
            endpoint_url="https://a.example/invoices",
        ),
        Rule(when="size > 1MiB", then="drop", drop=(".exe", "image/*")),
        Rule(when="size > 9MiB", then="drop", drop=("*",)),
        Rule(
            when='sender.authenticated == true and (sender.domain in ["partner.example"] or '
            'sender.address in ["Robot@a.example"])',
            then="allow",
        ),
        Rule(when="spam.score >= 10", then="block"),
        Rule(when="spam.score >= 5", then="tag"),
    )  # fmt: skip
    assert [rule.then for rule in public.rules] == ["block", "tag"]
    assert [alias.name for alias in other.aliases] == ["rules", "preset"]


def test_a_condition_of_yaml_anchors_that_stand_for_millions_is_refused_at_once() -> None:
    anchors = "".join(
        f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 9) if depth else '{virus: true}'}]\n"
        for depth in range(12)
    )
    with pytest.raises(BadSetting, match="over 2000 values in one condition"):
        parse_routes(anchors + rule("{if: {any: *a11}, then: block}"))


def alias(text: str) -> str:
    return f"version: 1\ndomains:\n  a.test:\n    one:\n      {text}\n"


def endpoint(text: str) -> str:
    return alias(f"endpoints: [{{url: https://a.example, {text}}}]")


def rule(text: str) -> str:
    return alias(f"{{endpoints: [https://a.example], rules: [{text}]}}")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        ("version: 1\ndomains: [", 2, "not YAML"),
        ("[" * 5000, 1, "not YAML"),
        ("- version", 1, "expected a mapping with version, retention, domains"),
        ("domains: {a.test: {x: https://a.example}}", 1, "version is missing"),
        ("version: 1", 1, "domains is missing"),
        ("version: 2\ndomains: {a.test: {x: https://a.example}}", 1, "version: this release reads version 1"),
        ("version: 1\ndomians: {}\ndomains: {a.test: {x: https://a}}", 2, "did you mean domains?"),
        ("version: 1\nretention: soon\ndomains: {a.test: {x: https://a}}", 2, "write it as 90s, 30min, 24h"),
        ("version: 1\nretention: 366d\ndomains: {a.test: {x: https://a}}", 2, "is over 365 days"),
        ("version: 1\ndomains:\n  a..test: {x: https://a}", 3, "domains › a..test: is no domain"),
        ("version: 1\ndomains:\n  a.test:\n", 3, "expected a mapping of aliases"),
        ("version: 1\ndomains:\n  a.test: {}\n", 3, "has no alias"),
        ("version: 1\ndomains:\n  a.test: {x: https://a}\n  A.test: {x: https://a}", 4, "twice"),
        ("version: 1\ndomains:\n  a.test:\n    x: https://a\n    x: https://b", 5, "first in line 4"),
        (
            "version: 1\ndomains:\n  a.test:\n    x: https://a\n    X: https://b",
            5,
            "case makes no difference",
        ),
        ("version: 1\ndomains:\n  a.test:\n    a b: https://a", 4, "is no local-part"),
        ("version: 1\ndomains:\n  a.test:\n    /(/: https://a", 4, "is no RE2 expression: missing )"),
        ("version: 1\ndomains:\n  a.test:\n    /(?=a)/: https://a", 4, "is no RE2 expression"),
        ("version: 1\ndomains:\n  a.test:\n    x: ftp://a", 4, "expected https://"),
        ("version: 1\ndomains:\n  a.test:\n    x: https://u:p@a", 4, "write them as basic_auth"),
        ("version: 1\ndomains:\n  a.test:\n    x: 'https://a b'", 4, "a space or a control character"),
        ("version: 1\ndomains:\n  a.test:\n    x: https://a:99999/", 4, "Port out of range"),
        ("version: 1\ndomains:\n  a.test:\n    x:", 4, "found nothing"),
        ("version: 1\ndomains:\n  a.test:\n    x: [https://a]", 4, "found a list"),
        (alias("rules: []"), 4, "endpoints is missing"),
        (alias("endpoints: []"), 5, "expected 1 to 10 endpoints, found 0"),
        (alias("endpoints: [https://a, https://a]"), 5, "POSTed to it twice"),
        (alias("{endpoints: [https://a], mode: sync}"), 5, "'sync' is unknown"),
        (alias("{endpoints: [https://a], residency: true}"), 5, "data residency is not built yet"),
        (alias("{endpoints: [https://a], storage: mine}"), 5, "not built yet"),
        (alias("{endpoints: [https://a], priority: 3}"), 5, "only patterns have a priority"),
        (alias("{endpoints: [https://a], attachments: {inline_below: 9 potatoes}}"), 5, "192KiB or 5MB"),
        (alias("{endpoints: [https://a], attachments: {inline_below: 9MiB}}"), 5, "would not fit"),
        (endpoint("secrets: x"), 5, "unknown key; did you mean secret?"),
        (endpoint("secret: whsec_short"), 5, "24 to 64 octets"),
        (endpoint("format: postmrk"), 5, "did you mean postmark?"),
        (endpoint("include: [rwa]"), 5, "did you mean raw?"),
        (endpoint("basic_auth: nocolon"), 5, "user:password"),
        (endpoint("signing_key: nope"), 5, "not PEM"),
        (endpoint("rate: fast"), 5, "is no rate; write it as 5/s"),
        (endpoint("rate: 0/s"), 5, "is no rate"),
        (endpoint("verify: maybe"), 5, "expected"),
        (endpoint("signature: v2"), 5, "expected one of v1, v1a"),
        (endpoint("client_certificate: x"), 5, "expected PEM"),
        (alias("endpoints: [{url: http://a, client_certificate: x}]"), 5, "over http"),
        (
            "version: 1\ndomains:\n  a.test:\n    tls: always\n    one: https://a\n",
            4,
            "expected one of required",
        ),
        ("version: 1\ndomains:\n  a.test:\n    tls: required\n", 3, "has no alias"),
        (endpoint("headers: {webhook-id: x}"), 5, "is set by Mailchute itself"),
        (endpoint("headers: {'a b': x}"), 5, "is no header field name"),
        (endpoint('headers: {a: "x\\r\\ny: z"}'), 5, "control character"),
        (alias("endpoints: [{format: native}]"), 5, "url is missing"),
        (rule("{if: 'spam.scroe > 1', then: block}"), 5, "spam.score"),
        (rule("{if: 'spam.score >', then: block}"), 5, "character"),
        (rule("{if: 'spam.score > 1', then: drop}"), 5, "attachments is missing"),
        (rule("{if: 'spam.score > 1', then: drop, attachments: some}"), 5, "'some' is unknown"),
        (rule("{if: 'spam.score > 1', then: drop, attachments: []}"), 5, "expected 1 to 100, or all"),
        (rule("{if: 'spam.score > 1', then: drop, attachments: [a/b/c]}"), 5, "understood by no attachment"),
        (
            rule("{if: 'spam.score > 1', then: drop, to: https://a.example}"),
            5,
            "only a rule with `then: route`",
        ),
        (rule("{if: 'spam.score > 1', then: bounce}"), 5, "expected one of allow, tag, block, route, drop"),
        (rule("{if: 'spam.score > 1', then: route}"), 5, "to is missing"),
        (rule("{if: 'spam.score > 1', then: route, to: https://b.example}"), 5, "is no endpoint of one"),
        (rule("{if: 'spam.score > 1', then: block, words: No thanks}"), 5, "needs an outbound relay"),
        (
            rule("{if: {all: [{spam.scroe: 1}]}, then: block}"),
            5,
            "rules[0] › if › all[0] › spam.scroe: there is no",
        ),
        (rule("{if: {spam.score: {gte: high}}, then: block}"), 5, "gte: expected a number, found 'high'"),
        (rule("{if: {}, then: block}"), 5, "expected at least one"),
        (alias("{endpoints: [https://a], preset: pubic}"), 5, "did you mean public?"),
        (alias("{endpoints: [https://a], preset: {for: public, known: ['@']}}"), 5, "is no address"),
        (
            alias(
                "endpoints: [{url: https://a, format: rfc822}]\n"
                "      rules: [{if: virus, then: drop, attachments: all}]"
            ),
            5,
            "gets the mail as received",
        ),
        (
            "version: 1\ndomains:\n  a.test:\n    rules: [{if: virus, then: route, to: https://b}]\n    one: https://a",
            5,
            "https://b is no endpoint of one",
        ),
        (
            "version: 1\ndomains:\n  a.test:\n    rules: [{if: virus}]\n    one: https://a",
            4,
            "then is missing",
        ),
        (rule("{if: 'spam.score > 1', then: block, notify: true}"), 5, "not built yet"),
        (rule("{if: 'spam.score > 1', then: block, notify: maybe}"), 5, "expected true or false"),
        (rule("{if: 'spam.score > 1', then: block, tag: x}"), 5, "only a rule with `then: tag`"),
        (rule("{then: block}"), 5, "if is missing"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_wrong(text: str, line: int, said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        parse_routes(text)
    lines = str(refused.value).splitlines()
    assert any(one.startswith(f"routes.yml:{line}: ") and said in one for one in lines), lines


def test_every_mistake_is_told_in_one_go_in_the_order_of_the_file() -> None:
    text = "version: 3\ndomains:\n  a.test:\n    x: nope\n    y: {endpoint: [https://a]}\n"
    with pytest.raises(BadSetting) as refused:
        parse_routes(text)
    numbers = [int(line.split(":")[1]) for line in str(refused.value).splitlines()]
    assert numbers == [1, 4, 5, 5]


def test_a_secret_is_never_repeated_in_what_is_said() -> None:
    for text in ("secret: whsec_hunter2", "basic_auth: hunter2", "signing_key: hunter2"):
        with pytest.raises(BadSetting) as refused:
            parse_routes(endpoint(text))
        assert "hunter2" not in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read: No such file"):
        read_routes(tmp_path / "none.yml")
    (tmp_path / "bad.yml").write_bytes(b"version: 1\n\xff\xfe")
    with pytest.raises(BadSetting, match=r"bad\.yml:2: not UTF-8"):
        read_routes(tmp_path / "bad.yml")
