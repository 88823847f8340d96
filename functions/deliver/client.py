"""Sends one request to a destination, over an idle connection or a new one to an address just checked."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field

from .answer import Answer
from .connection import Connection, Route
from .destination import Destination
from .egress import Egress
from .faults import EndpointFault, Unanswered
from .identity import Identities
from .pool import Pool

DIALLED_MAX_COUNT = 3  # addresses of one name, in one attempt


@dataclass(frozen=True, kw_only=True)
class Client:
    """An HTTP/1.1 client that follows no redirect, knows no proxy and dials only what it has checked."""

    egress: Egress
    identities: Identities
    pool: Pool = field(default_factory=Pool)

    def post(
        self,
        destination: Destination,
        head: bytes,
        body: bytes,
        *,
        ends_at: float,
        client_certificate: str | None = None,
    ) -> Answer:
        """
        Return the endpoint's answer.

        Args:
            ends_at: When the attempt is over, by time.monotonic().
            client_certificate: PEM shown to an endpoint that asks for one (mTLS).

        Raises:
            EndpointFault: There was none.
        """
        began_s = time.monotonic()
        try:
            return self._post(destination, head, body, ends_at, client_certificate)
        except TimeoutError as error:
            waited_s = time.monotonic() - began_s
            raise EndpointFault(
                f"the endpoint did not answer within {waited_s:.1f} s; answer first, work later"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise EndpointFault(
                f"the certificate of {destination.host} is not good: {error.verify_message}"
            ) from error
        except ssl.SSLError as error:
            raise EndpointFault(
                f"TLS with {destination.host} failed: {error.reason or 'no reason given'}"
            ) from error
        except OSError as error:
            raise EndpointFault(f"{destination.host} cannot be reached: {error.strerror or error}") from error

    def _post(
        self,
        destination: Destination,
        head: bytes,
        body: bytes,
        ends_at: float,
        certificate: str | None,
    ) -> Answer:
        identity = self.identities.of(certificate)
        routes = [
            Route(destination.scheme, address, destination.port, destination.host, identity.name)
            for address in self.egress.addresses_of(destination, ends_at)[:DIALLED_MAX_COUNT]
        ]
        for route in routes:
            if (idle := self.pool.take(route)) is not None:
                try:
                    return self._exchange(idle, head, body, ends_at)
                except Unanswered:
                    break  # it closed while we wrote: the endpoint never saw the request, or the id tells it
        return self._exchange(self._dial(routes, identity.tls, ends_at), head, body, ends_at)

    def _dial(self, routes: list[Route], tls: ssl.SSLContext, ends_at: float) -> Connection:
        *others, last = routes
        for route in others:
            try:
                return Connection.dial(route, tls, ends_at)
            except ssl.SSLError:
                raise
            except OSError:
                continue  # its next address may answer
        try:
            return Connection.dial(last, tls, ends_at)
        except TimeoutError as error:
            raise EndpointFault(f"{last.host} took no connection in time; is it up and open?") from error

    def _exchange(self, connection: Connection, head: bytes, body: bytes, ends_at: float) -> Answer:
        try:
            answer = connection.exchange(head, body, ends_at)
        except BaseException:
            connection.close()
            raise
        if answer.is_reusable:
            self.pool.put(connection)
        else:
            connection.close()
        return answer
