"""Whom we trust and who we are in TLS: one context for most endpoints, one for each client certificate."""

from __future__ import annotations

import functools
import hashlib
import os
import ssl
from dataclasses import dataclass

from .faults import EndpointFault

CONTEXTS_MAX_COUNT = 256  # client certificates held ready


@dataclass(frozen=True)
class Identity:
    """A TLS context, and a name that differs for each client certificate; "" for none."""

    name: str
    tls: ssl.SSLContext


class Identities:
    """
    Makes TLS contexts. Thread-safe.

    Args:
        authority_file: PEM of authorities trusted beside the system's; "" for none.
    """

    def __init__(self, authority_file: str = "") -> None:
        self._authority_file = authority_file
        self._anonymous = Identity("", self._context())
        self._with = functools.lru_cache(maxsize=CONTEXTS_MAX_COUNT)(self._load)

    def of(self, client_certificate: str | None) -> Identity:
        """
        Return the identity that shows this certificate, given as PEM with chain and private key.

        Raises:
            EndpointFault: It is no such PEM.
        """
        return self._anonymous if client_certificate is None else self._with(client_certificate)

    def _load(self, pem: str) -> Identity:
        tls = self._context()
        descriptor = os.memfd_create("client-certificate")  # OpenSSL reads files only; this one is no disk's
        try:
            os.write(descriptor, pem.encode())
            tls.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
        except (ssl.SSLError, ValueError) as error:
            raise EndpointFault(
                "the endpoint's client_certificate is no PEM with a chain and its private key; set it again"
            ) from error
        finally:
            os.close(descriptor)
        return Identity(hashlib.sha256(pem.encode()).hexdigest(), tls)

    def _context(self) -> ssl.SSLContext:
        tls = ssl.create_default_context()  # certificate and host name are checked
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.set_alpn_protocols(["http/1.1"])
        if self._authority_file:
            tls.load_verify_locations(self._authority_file)
        return tls
