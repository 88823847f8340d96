"""Make the domains, aliases and endpoints of an account those that are wanted, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mailchute.alias import Rule
from mailchute.errors import BadSetting
from mailchute.ids import new_id
from mailchute.sealing import Sealer
from mailchute.store import audit
from mailchute.store.endpoints import EndpointWriter
from mailchute.store.plans import check_alias_count, check_retention
from mailchute.store.rules import replace_rules
from mailchute.store.wanted import Change, Wanted, WantedAlias, WantedDomain, changed
from mailchute.tables import account, alias, domain, domain_rule, endpoint, rule

Fields = dict[str, Any]
WantedRules = tuple[Rule, ...]

_ALIAS_FIELDS = (
    "name",
    "kind",
    "match",
    "priority",
    "mode",
    "inline_limit_octets",
    "body_limit_octets",
    "spam_enabled",
    "spam_threshold",
)
_PARENT = {alias: alias.c.domain_id, endpoint: endpoint.c.alias_id}


def apply(
    connection: sa.Connection,
    wanted: Wanted,
    *,
    account_id: str,
    sealer: Sealer,
    now: datetime,
    actor: str,
    prune: bool = False,
    make_id: Callable[[str], str] = new_id,
) -> tuple[Change, ...]:
    """
    Make what is there what is wanted, and return what was changed; nothing when they agree.

    A file owns what it names: it takes away what a file before it named and it does not. What the API made
    stays beside it until a file names it.

    What stays keeps its id and secrets. What vanishes is marked deleted, so that mail still waiting for
    it can be told why; what comes back under its old name is the same again.

    Args:
        actor: Whom the audit trail names.
        prune: Take away what the API made as well.

    Raises:
        BadSetting: A domain belongs to another account, or the plan does not allow it.
        SecretUnreadable: A secret that is there does not open with this master key.
    """
    writer = _Writer(connection, account_id, sealer, now, make_id, prune=prune)
    if wanted.retention_s is not None:
        writer.account(wanted.retention_s)
    writer.domains({one.name: one for one in wanted.domains})
    if any((one.kind, one.what) == ("add", "alias") for one in writer.changes):
        check_alias_count(connection, account_id)
    changes = tuple(writer.changes)
    audit.note_changes(connection, changes, account_id=account_id, now=now, actor=actor)
    return changes


@contextmanager
def trial(connection: sa.Connection, *, is_kept: bool) -> Iterator[None]:
    """Keep what the block writes, or, to plan, take it back."""
    savepoint = connection.begin_nested()
    try:
        yield
    except BaseException:
        savepoint.rollback()
        raise
    if is_kept:
        savepoint.commit()
    else:
        savepoint.rollback()


class _Writer:
    def __init__(
        self,
        connection: sa.Connection,
        account_id: str,
        sealer: Sealer,
        now: datetime,
        make_id: Callable[[str], str],
        *,
        prune: bool,
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self._now = now
        self._make_id = make_id
        self._prune = prune
        self.changes: list[Change] = []
        self._endpoints = EndpointWriter(connection, account_id, sealer, now, make_id, self.changes)

    def account(self, retention_s: int) -> None:
        ours = account.c.id == self._account_id
        row = self._connection.execute(sa.select(account.c.name, account.c.retention_s).where(ours)).one()
        check_retention(self._connection, self._account_id, retention_s)
        if row.retention_s != retention_s:
            self._connection.execute(sa.update(account).where(ours).values(retention_s=retention_s))
            self._changed(
                "account",
                row.name,
                self._account_id,
                {"retention_s": row.retention_s},
                {"retention_s": retention_s},
            )

    def domains(self, wanted: dict[str, WantedDomain]) -> None:
        self._refuse_foreign(wanted)
        known = self._rows(domain, lambda row: row.name)
        for name, row in known.items():
            if name not in wanted and self._may_go(row):
                self._aliases(row.id, WantedDomain(name=name, aliases=()))
                self._let_go("domain", domain, alias, row.id, name)
        for name, one in wanted.items():
            found = known.get(name)
            domain_id = self._make_id("dom") if found is None else found.id
            if found is None:
                self._insert(domain, id=domain_id, name=name, requires_tls=one.requires_tls)
            elif found.deleted_at is not None:
                self._revive(domain, domain_id)
            if found is None or found.deleted_at is not None:
                self.changes.append(Change(kind="add", what="domain", name=name, id=domain_id))
            is_new = found is None or found.deleted_at is not None
            if found is not None:
                self._change_domain(found, one, is_new=is_new)
            self._rules(domain_rule, domain_id, name, one.rules, is_new=is_new)
            self._aliases(domain_id, one)

    def _change_domain(self, found: Any, one: WantedDomain, *, is_new: bool) -> None:
        wanted = {"requires_tls": one.requires_tls, "origin": "file"}
        columns = {name: value for name, value in wanted.items() if getattr(found, name) != value}
        if columns:
            self._connection.execute(sa.update(domain).where(domain.c.id == found.id).values(columns))
        if columns and not is_new:
            before = {name: getattr(found, name) for name in columns}
            self._changed("domain", one.name, found.id, before, columns)

    def _aliases(self, domain_id: str, wanted: WantedDomain) -> None:
        known = self._rows(alias, lambda row: row.name.lower(), alias.c.domain_id == domain_id)
        names = {one.name.lower() for one in wanted.aliases}
        for key, row in known.items():
            if key not in names and self._may_go(row):
                address = f"{row.name}@{wanted.name}"
                self._endpoints.write(row.id, address, (), prune=self._prune)
                self._let_go("alias", alias, endpoint, row.id, address)
        for one in wanted.aliases:
            found = known.get(one.name.lower())
            address = f"{one.name}@{wanted.name}"
            alias_id = self._make_id("als") if found is None else found.id
            self._alias(alias_id, domain_id, address, one, found)
            is_new = found is None or found.deleted_at is not None
            self._rules(rule, alias_id, address, one.rules, is_new=is_new)
            self._endpoints.write(alias_id, address, one.endpoints, prune=self._prune)

    def _alias(self, alias_id: str, domain_id: str, address: str, one: WantedAlias, found: Any) -> None:
        columns = {field: getattr(one, field) for field in _ALIAS_FIELDS} | {"origin": "file"}
        if found is None:
            self._insert(alias, id=alias_id, domain_id=domain_id, **columns)
            self.changes.append(Change(kind="add", what="alias", name=address, id=alias_id))
            return
        differing = tuple(field for field in columns if getattr(found, field) != columns[field])
        if found.deleted_at is not None:
            self._revive(alias, alias_id)
            self.changes.append(Change(kind="add", what="alias", name=address, id=alias_id))
        elif differing:
            before = {field: getattr(found, field) for field in differing}
            self._changed("alias", address, alias_id, before, {field: columns[field] for field in differing})
        if differing:
            self._connection.execute(sa.update(alias).where(alias.c.id == alias_id).values(columns))

    def _refuse_foreign(self, wanted: dict[str, WantedDomain]) -> None:
        foreign = self._connection.scalars(
            sa.select(domain.c.name).where(
                domain.c.name.in_(list(wanted)),
                domain.c.account_id != self._account_id,
                domain.c.deleted_at.is_(None),
            )
        ).all()
        if foreign:
            raise BadSetting(f"{', '.join(foreign)}: belongs to another account of this installation")

    def _rows(
        self, table: sa.Table, key: Callable[[Any], str], *where: sa.ColumnElement[bool]
    ) -> dict[str, Any]:
        """Return the account's rows by key; where a name was used before, the living or newest one."""
        rows = self._connection.execute(
            sa.select(table)
            .where(table.c.account_id == self._account_id, *where)
            .order_by(table.c.deleted_at.is_(None), table.c.deleted_at, table.c.id)
        )
        return {key(row): row for row in rows}

    def _insert(self, table: sa.Table, **columns: object) -> None:
        self._connection.execute(
            sa.insert(table).values(account_id=self._account_id, created_at=self._now, **columns)
        )

    def _may_go(self, row: Any) -> bool:
        return row.deleted_at is None and (self._prune or row.origin == "file")

    def _let_go(self, what: Any, table: sa.Table, within: sa.Table, row_id: str, name: str) -> None:
        """Delete it, unless the API has made something within: then it is the API's from now on."""
        living = sa.exists().where(_PARENT[within] == row_id, within.c.deleted_at.is_(None))
        if self._connection.scalar(sa.select(living)):
            values: dict[str, Any] = {"origin": "api"}
            self._changed(what, name, row_id, {"origin": "file"}, values)
        else:
            values = {"deleted_at": self._now}
            self.changes.append(Change(kind="remove", what=what, name=name, id=row_id))
        self._connection.execute(sa.update(table).where(table.c.id == row_id).values(values))

    def _rules(self, table: sa.Table, owner_id: str, name: str, wanted: WantedRules, *, is_new: bool) -> None:
        change = replace_rules(self._connection, table, owner_id, name, wanted)
        if change is not None and not is_new:
            self.changes.append(change)

    def _changed(self, what: Any, name: str, row_id: str, before: Fields, after: Fields) -> None:
        self.changes.append(changed(what, name, row_id, before, after))

    def _revive(self, table: sa.Table, row_id: str) -> None:
        self._connection.execute(sa.update(table).where(table.c.id == row_id).values(deleted_at=None))
