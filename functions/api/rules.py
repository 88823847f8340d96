"""Operations on rules: what becomes of a mail before it is POSTed, for one alias or all of a domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from mailchute.alias import Action, Rule
from mailchute.conditions import ConditionError, expression_of
from mailchute.file_patterns import check_file_pattern
from mailchute.routes.rules import NO_NOTICE, RULES_MAX_COUNT, check_tag
from mailchute.rule_reach import why_not
from mailchute.store.aliases import lock_alias
from mailchute.store.domains import lock_domain
from mailchute.store.listing import list_aliases, list_domains, list_endpoints
from mailchute.store.rules import read_rules, text_of, write_rules
from mailchute.tables import domain_rule, rule

from .fields import Url, checked
from .listing import Lister, shown
from .operation import Operation, Request, note
from .problem import not_found, unusable

ALIASES_MAX_COUNT = 100_000  # of one domain
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Patterns = Annotated[tuple[Pattern, ...], msgspec.Meta(min_length=1, max_length=100)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Expression = Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]


class RuleFields(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"condition": "if"}
):
    """A condition, and what follows when it is the first to hold (docs/rules.md)."""

    condition: Expression | dict[str, Any]  # an expression, or plain JSON, which is kept as the expression
    then: Action
    tag: Tag | None = None  # tag only; without it "spam"
    to: Url | None = None  # route only: the URL of one of the alias's endpoints
    attachments: Literal["all"] | Patterns | None = None  # drop only: *.exe, .zip, image/*
    notify: bool = False  # block only; refused so far


class RuleList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules in their order."""

    rules: Annotated[tuple[RuleFields, ...], msgspec.Meta(max_length=RULES_MAX_COUNT)]


def _shown(connection: sa.Connection, table: sa.Table, owner_id: str) -> RuleList:
    return RuleList(rules=tuple(_fields_of(one) for one in read_rules(connection, table, owner_id)))


def _fields_of(one: Rule) -> RuleFields:
    return RuleFields(
        condition=one.when,
        then=one.then,
        tag=one.tag if one.then == "tag" else None,
        to=one.endpoint_url,
        attachments=("all" if one.drop == ("*",) else one.drop) or None,
        notify=one.notify,
    )


def _rule_of(given: RuleFields, place: str) -> Rule:
    """Raises Problem: 422, it names the field."""
    try:
        when = expression_of(given.condition)
    except ConditionError as error:
        raise unusable(".".join([f"{place}.if", *map(str, error.place)]), ValueError(error.reason)) from None
    belongs = {"tag": given.tag, "to": given.to, "attachments": given.attachments}
    for name, action in (("tag", "tag"), ("to", "route"), ("attachments", "drop")):
        if belongs[name] is not None and given.then != action:
            raise unusable(f"{place}.{name}", ValueError(f"only a rule whose then is {action} has it"))
        if belongs[name] is None and given.then == action != "tag":
            raise unusable(f"{place}.{name}", ValueError(f"a rule whose then is {action} needs it"))
    if given.notify:
        raise unusable(f"{place}.notify", ValueError(NO_NOTICE))
    patterns = ("*",) if given.attachments == "all" else given.attachments or ()
    return Rule(
        when=when,
        then=given.then,
        tag=checked(f"{place}.tag", check_tag, given.tag or "spam"),
        endpoint_url=given.to,
        drop=tuple(checked(f"{place}.attachments", check_file_pattern, each) for each in patterns),
    )


def _check_reach(request: Request, connection: sa.Connection, rules: list[Rule], **of: str) -> None:
    """Raises Problem: 422, an alias could not follow one of the rules."""
    for index, one in enumerate(rules):
        if one.then not in ("route", "drop"):
            continue
        for alias in list_aliases(connection, request.account_id, limit=ALIASES_MAX_COUNT, **of):
            endpoints = list_endpoints(connection, request.account_id, alias_id=alias.id)
            for reason in why_not(one, alias.address, endpoints):
                raise unusable(f"rules[{index}]", ValueError(reason))


def _read(part: str, table: sa.Table, lister: Lister) -> Callable[[Request], RuleList]:
    def work(request: Request) -> RuleList:
        with request.services.database.read() as connection:
            shown(connection, request, lister, request.path[part])  # 404 where it is not the account's
            return _shown(connection, table, request.path[part])

    return work


def _replace(part: str, table: sa.Table, lock: Callable[..., str | None], of: str) -> Any:
    def change(request: Request, connection: sa.Connection) -> RuleList:
        owner_id, body = request.path[part], request.body
        if lock(connection, request.account_id, owner_id) is None:
            raise not_found(owner_id)
        wanted = [_rule_of(each, f"rules[{index}]") for index, each in enumerate(body.rules)]
        _check_reach(request, connection, wanted, **{of: owner_id})
        former = write_rules(connection, table, owner_id, wanted)
        if former is not None:
            before, after = ({"rules": [text_of(one) for one in rules]} for rules in (former, wanted))
            note(connection, request, "rules.change", owner_id, before=before, after=after)
        return _shown(connection, table, owner_id)

    return change


READ, WRITE = "routes:read", "routes:write"
EXAMPLE = {"rules": [{"if": {"spam.score": {"gte": 7}}, "then": "block"}]}
OPERATIONS = tuple(
    operation
    for path, part, table, lister, lock, of in (
        ("/aliases/{aliasId}/rules", "aliasId", rule, list_aliases, lock_alias, "only"),
        ("/domains/{domainId}/rules", "domainId", domain_rule, list_domains, lock_domain, "domain_id"),
    )
    for operation in (
        Operation(
            method="GET", path=path, scope=READ, answers=RuleList, work=_read(part, table, lister),
            does="Show the rules, in the order in which they are asked.", fails=(404,),
        ),
        Operation(
            method="PUT", path=path, scope=WRITE, answers=RuleList, body=RuleList, example=EXAMPLE,
            change=_replace(part, table, lock, of), does="Make these the rules.", fails=(404, 422),
        ),
    )
)  # fmt: skip
