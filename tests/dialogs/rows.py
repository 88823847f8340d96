"""The accounts that dialogs speak of: one that is picky, one whose plan is used up, one that wants TLS."""

from __future__ import annotations

import sqlalchemy as sa
from mailchute.database import Database
from mailchute.store import blocking
from mailchute.tables import account, alias, domain, plan

from tests.ingress.edge_process import NOW


def add_accounts(url: str) -> None:
    """Write desk@picky.test, desk@full.test and desk@tls.test, each of an account of its own."""
    store = Database(url)
    with store.write() as connection:
        for name, most, size in (("none", 0, None), ("short", None, 50_000)):
            connection.execute(
                sa.insert(plan).values(
                    name=name, retention_max_s=1, permissions=[], mails_per_month=most, size_max_octets=size
                )
            )
        for name, plan_name in (("picky", "short"), ("full", "none"), ("tls", None)):
            owner = {"id": f"acc_{name}", "name": name, "created_at": NOW, "plan_name": plan_name}
            connection.execute(sa.insert(account).values(owner))
            place = {
                "id": f"dom_{name}",
                "account_id": f"acc_{name}",
                "name": f"{name}.test",
                "requires_tls": name == "tls",
                "created_at": NOW,
            }
            connection.execute(sa.insert(domain).values(place))
            connection.execute(
                sa.insert(alias).values(
                    id=f"als_{name}",
                    account_id=f"acc_{name}",
                    domain_id=f"dom_{name}",
                    name="desk",
                    kind="exact",
                    match="desk",
                    created_at=NOW,
                )
            )
        for kind, value in (("domain", "spam.test"), ("domain", "köln.test"), ("address", "bob@sender.test")):
            blocking.add(connection, account_id="acc_picky", kind=kind, value=value, now=NOW, actor="cli")
    store.close()
