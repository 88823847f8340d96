"""STARTTLS, with certificates made here."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mailchute.database import Database, migrate
from mailchute.installation import establish
from mailchute.routes.file import parse_routes
from mailchute.sealing import Keyring
from mailchute.store import routing
from mailchute.store.accounts import ensure_account

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until

Start = Callable[..., EdgeProcess]


def write_certificate(home: Path, name: str) -> dict[str, str]:
    """Write a certificate for this name, and return the settings that point to it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (home / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (home / "cert.pem").write_bytes(certificate.public_bytes(pem))
    return {"TLS_CERT_FILE": str(home / "cert.pem"), "TLS_KEY_FILE": str(home / "key.pem")}


def anyone() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown_name(edge: EdgeProcess) -> str:
    with edge.client() as client:
        client.starttls(context=anyone())
        der = client.sock.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_mail_over_starttls_says_so_in_envelope_and_trace(
    jet: Jet, start_edge: Start, tmp_path: Path
) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    with edge.client() as client:
        client.ehlo()
        assert client.has_extn("starttls")
        client.starttls(context=anyone())
        assert client.docmd("MAIL FROM:<>")[0] == 503  # what was said in clear is forgotten
        client.ehlo()
        assert not client.has_extn("starttls")
        client.mail("ann@sender.test")
        client.rcpt("support@inbox.test")
        assert client.data(new_content())[0] == 250
    (mail,) = jet.mails()
    assert mail.envelope.tls is not None
    assert mail.envelope.tls.version == "TLSv1.3"
    assert isinstance(mail.content, bytes)
    assert b" with ESMTPS id " in mail.content[: mail.trace_octets]


def test_a_domain_whose_routes_require_tls_takes_no_mail_in_clear(
    jet: Jet, start_edge: Start, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'routed.db'}"
    migrate(url)
    routes = "version: 1\ndomains: {tls.test: {tls: required, desk: https://a.example}}"
    store = Database(url)
    now = dt.datetime.now(dt.UTC)
    with store.write() as connection:
        routing.apply(
            connection,
            parse_routes(routes),
            account_id=ensure_account(connection, now=now),
            sealer=establish(connection, Keyring((b"k" * 32,))),
            now=now,
            actor="cli",
        )
    store.close()
    edge = start_edge(DATABASE_URL=url, **write_certificate(tmp_path, "mx.test"))
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt("desk@tls.test") == (530, b"5.7.0 this recipient wants TLS: send STARTTLS first")
    with edge.client() as client:
        client.starttls(context=anyone())
        client.ehlo()
        client.mail("ann@sender.test")
        assert client.rcpt("desk@tls.test")[0] == 250
        assert client.data(new_content())[0] == 250
    (mail,) = jet.mails()
    assert mail.alias.requires_tls


def test_what_was_pipelined_before_the_handshake_is_thrown_away(
    jet: Jet, start_edge: Start, tmp_path: Path
) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as plain:
        lines = plain.makefile("rb")
        lines.readline()
        plain.sendall(b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@sender.test>\r\n")
        assert lines.readline().startswith(b"220 2.0.0")
        with anyone().wrap_socket(plain, server_hostname="mx.test") as tls:
            tls.sendall(b"RCPT TO:<support@inbox.test>\r\n")
            assert tls.recv(100).startswith(b"503 5.5.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(
    jet: Jet, start_edge: Start, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    context = anyone()
    context.minimum_version = context.maximum_version = version
    with edge.client() as client:
        assert client.starttls(context=context)[0] == 220


def test_a_failed_handshake_ends_one_connection_only(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as plain:
        lines = plain.makefile("rb")
        lines.readline()
        plain.sendall(b"STARTTLS\r\n")
        lines.readline()
        plain.sendall(b"this is no TLS\r\n" * 10)
        while lines.read(4096):
            pass
    assert shown_name(edge) == "CN=mx.test"


def test_a_new_certificate_is_shown_without_a_restart(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(**write_certificate(tmp_path, "old.test"))
    assert shown_name(edge) == "CN=old.test"
    (tmp_path / "cert.pem").write_text("broken")
    edge.process.send_signal(signal.SIGHUP)
    edge.event("certificate-refused")
    assert shown_name(edge) == "CN=old.test"
    write_certificate(tmp_path, "new.test")
    edge.process.send_signal(signal.SIGHUP)
    edge.event("certificate-loaded")
    assert shown_name(edge) == "CN=new.test"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_s_client_finds_a_handshake(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(**write_certificate(tmp_path, "mx.test"))
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{edge.port}", "-crlf", "-quiet"],
        input=b"HELP\nQUIT\n",
        capture_output=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert b"214 2.0.0" in done.stdout, done.stderr


def test_a_certificate_without_its_key_stops_the_start(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    settings = write_certificate(tmp_path, "one.test")
    (tmp_path / "other").mkdir()
    settings["TLS_KEY_FILE"] = write_certificate(tmp_path / "other", "two.test")["TLS_KEY_FILE"]
    edge = start_edge(waits=False, **settings)
    assert edge.process.wait(timeout=20) == 2
    until(
        lambda: [line for line in edge.lines if "MAILCHUTE_TLS_CERT_FILE is" in line],
        "one line that says why",
    )
