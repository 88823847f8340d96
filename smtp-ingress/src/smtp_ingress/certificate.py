"""The certificate for STARTTLS, read again when its files change."""

from __future__ import annotations

import ssl
from pathlib import Path

from mailchute.errors import BadSetting
from mailchute.eventlog import EventLog


class Certificate:
    """
    A context that sessions keep; a new certificate is put into it, and the next handshake shows it.

    Raises:
        BadSetting: The files hold no certificate with its key.
    """

    def __init__(self, cert_file: Path, key_file: Path, *, log: EventLog) -> None:
        self._files = (cert_file, key_file)
        self._log = log
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Mozilla, "intermediate": TLS 1.2 and 1.3; RFC 8996 ends the ones before.
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL")
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self._read_at = self._changed_at()
        try:
            self._load(self.context)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise BadSetting(
                f"MAILCHUTE_TLS_CERT_FILE is {str(cert_file)!r}: expected a PEM chain "
                f"that belongs to MAILCHUTE_TLS_KEY_FILE ({error})"
            ) from error

    def refresh(self) -> None:
        """Read the files again if they changed; a broken pair leaves the one in use."""
        changed_at = self._changed_at()
        if changed_at == self._read_at:
            return
        self._read_at = changed_at
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a trial: a failed load leaves half a pair
            self._load(self.context)
        except (ssl.SSLError, OSError, ValueError) as error:
            self._log.error("certificate-refused", reason=str(error))
        else:
            self._log.info("certificate-loaded")

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(*self._files, password=lambda: "")  # never ask on the terminal

    def _changed_at(self) -> tuple[int, ...]:
        found = []
        for file in self._files:
            try:
                found.append(file.stat().st_mtime_ns)
            except OSError:  # in the middle of being replaced
                found.append(0)
        return tuple(found)
