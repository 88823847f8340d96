"""Rules over the API: plain JSON or expressions, kept as expressions, each mistake with its place."""

from __future__ import annotations

from typing import Any

import pytest
from mailchute.envelope import Path
from mailchute.lookup import alias_of

from tests.functions.conftest import Api

HOOK = {"domain": "a.test", "alias": "one", "url": "https://a.example"}


def hooked(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api("POST", "/webhooks/alias", json=HOOK)
    return found


def test_rules_are_put_shown_asked_and_told_in_the_trail(api: Api) -> None:
    hook = hooked(api)
    ours, domains = f"/aliases/{hook['alias']['id']}/rules", f"/domains/{hook['domain']['id']}/rules"
    assert api("GET", ours) == {"rules": []}
    condition = {"all": [{"sender.domain": "x.example"}, {"spam.score": {"gte": 7}}]}
    given = [
        {"if": condition, "then": "block"},
        {"if": "size > 1MiB", "then": "drop", "attachments": [".exe"]},
        {"if": "virus", "then": "drop", "attachments": "all"},
        {"if": "recipient.tag == 'x'", "then": "route", "to": "https://a.example"},
    ]
    put = api("PUT", ours, json={"rules": given})
    assert put["rules"][0]["if"] == 'sender.domain == "x.example" and spam.score >= 7'
    assert [one.get("attachments") for one in put["rules"]] == [None, [".exe"], "all", None]
    assert api("PUT", ours, json=put) == put == api("GET", ours)
    api("PUT", domains, json={"rules": [{"if": "dmarc == 'fail'", "then": "tag", "tag": "odd"}]})
    with api.database.read() as connection:
        found = alias_of(connection, Path("one", "a.test"))
    assert found is not None
    assert [one.then for one in found.rules] == ["block", "drop", "drop", "route", "tag"]
    assert found.rules[3].endpoint_id == hook["endpoint"]["id"]
    trail = [one for one in api("GET", "/audit")["items"] if one["action"] == "rules.change"]
    assert [one["after"]["rules"] for one in trail] == [
        ["dmarc == 'fail' → tag odd"],
        [
            'sender.domain == "x.example" and spam.score >= 7 → block',
            "size > 1MiB → drop .exe",
            "virus → drop *",
            "recipient.tag == 'x' → route https://a.example",
        ],
    ]


@pytest.mark.parametrize(
    ("rule", "field", "said"),
    [
        (
            {"if": {"all": [{"spam.scroe": 7}]}, "then": "block"},
            "rules[0].if.all.0.spam.scroe",
            "did you mean",
        ),
        ({"if": "spam.score >", "then": "block"}, "rules[0].if", "character"),
        ({"if": {}, "then": "block"}, "rules[0].if", "at least one"),
        ({"if": "virus", "then": "route"}, "rules[0].to", "needs it"),
        ({"if": "virus", "then": "route", "to": "https://b.example"}, "rules[0]", "is no endpoint of"),
        ({"if": "virus", "then": "drop"}, "rules[0].attachments", "needs it"),
        ({"if": "virus", "then": "drop", "attachments": ["a/b/c"]}, "rules[0].attachments", "understood"),
        ({"if": "virus", "then": "block", "tag": "x"}, "rules[0].tag", "only a rule"),
        ({"if": "virus", "then": "tag", "tag": "a b"}, "rules[0].tag", "is no tag"),
        ({"if": "virus", "then": "block", "notify": True}, "rules[0].notify", "relay"),
    ],
)
def test_a_mistake_is_told_with_its_field_and_changes_nothing(
    api: Api, rule: dict[str, Any], field: str, said: str
) -> None:
    path = f"/aliases/{hooked(api)['alias']['id']}/rules"
    problem = api("PUT", path, json={"rules": [rule]}, status=422)
    assert problem["mistakes"][0]["field"] == field
    assert said in problem["detail"]
    assert api("GET", path) == {"rules": []}
    for wrong in (
        {},
        {"rules": [{"if": 7, "then": "block"}]},
        {"rules": [{"if": "virus", "then": "bounce"}]},
    ):
        assert api.raw("PUT", path, json=wrong).status_code == 400


def test_an_alias_whose_mail_goes_out_as_received_drops_nothing(api: Api) -> None:
    hook = hooked(api)
    api(
        "POST",
        "/endpoints",
        json={"aliasId": hook["alias"]["id"], "url": "https://r.example", "format": "rfc822"},
        status=201,
    )
    drop = {"rules": [{"if": "virus", "then": "drop", "attachments": "all"}]}
    for path in (f"/aliases/{hook['alias']['id']}/rules", f"/domains/{hook['domain']['id']}/rules"):
        assert "as received" in api("PUT", path, json=drop, status=422)["detail"]
