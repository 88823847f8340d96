"""Hand-written stand-ins for what lies behind the edge."""

from __future__ import annotations

import hashlib

from mailchute.alias import AliasSnapshot
from mailchute.errors import DirectoryUnavailable
from mailchute.jetstream import Publication, Receipt
from mailchute.mail import ContentRef
from nats.aio.msg import Msg


def snapshot(address, **more):
    return AliasSnapshot(
        account_id="acc_1",
        domain_id="dom_1",
        alias_id=f"als_{address}",
        address=address,
        endpoints=(),
        **more,
    )


class FakeDirectory:
    """Aliases in a dict by address; "*@domain" takes the rest."""

    def __init__(self, *aliases):
        self.aliases = {alias.address: alias for alias in aliases}
        self.known = {}
        self.standings = {}
        self.missing = {}
        self.is_away = False
        self.read_count = 0

    def cached(self, path):
        return self.known.get(str(path))

    def find(self, path):
        if self.is_away:
            raise DirectoryUnavailable("away")
        self.read_count += 1
        return self.aliases.get(str(path)) or self.aliases.get(f"*@{path.domain}")

    def serves(self, domain):
        if self.is_away:
            raise DirectoryUnavailable("away")
        return any(address.endswith(f"@{domain}") for address in self.aliases)

    def cached_standing(self, account_id):
        return self.standings.get(account_id)

    def unattended(self):
        if self.is_away:
            raise DirectoryUnavailable("away")
        return self.missing

    def standing(self, account_id):
        return self.standings.get(account_id)


class FakePublisher:
    """A stream that remembers message ids; `raises` is raised by the next publish."""

    def __init__(self):
        self.stored = []
        self.sequences = {}
        self.raises = None

    async def publish_all(self, publications: list[Publication], *, timeout_s: float) -> list[Receipt]:
        if self.raises is not None:
            raise self.raises
        receipts = []
        for each in publications:
            known = self.sequences.get(each.message_id) if each.message_id else None
            if known is None:
                self.stored.append(each)
                known = len(self.stored)
                self.sequences[each.message_id] = known
                receipts.append(Receipt(known, False))
            else:
                receipts.append(Receipt(known, True))
        return receipts


class FakeWriter:
    """An object in memory."""

    def __init__(self, name="object"):
        self.name = name
        self.octets = b""
        self.is_committed = self.is_aborted = False
        self.raises = None

    async def write(self, chunk):
        if self.raises is not None:
            raise self.raises
        self.octets += chunk

    async def commit(self):
        self.is_committed = True
        digest = hashlib.sha256(self.octets).hexdigest()
        return ContentRef(bucket="content", name=self.name, size_octets=len(self.octets), sha256=digest)

    async def abort(self):
        self.is_aborted = True


class FakeClient:
    """A NATS connection on which a connector does with each question what `connector` says."""

    def __init__(self, connector=None):
        self.connector = connector
        self.questions = []
        self.raises = None
        self._hear = None

    def new_inbox(self):
        return "_INBOX.fake"

    async def subscribe(self, subject, *, cb):
        self._hear = cb

    async def publish(self, subject, payload, reply):
        if self.raises is not None:
            raise self.raises
        self.questions.append((subject, payload, reply))
        if self.connector is not None:
            await self.connector(payload, lambda data, **headers: self.say(reply, data, **headers))

    async def say(self, inbox, data, **headers):
        """Let the edge hear this."""
        await self._hear(Msg(None, subject=inbox, data=data, headers=headers or None))
