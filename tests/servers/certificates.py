"""Certificates made while a test runs: an authority of its own, and what it signs, good or faulty."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` is what a client trusts."""

    directory: Path
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, directory: Path) -> Authority:
        key = generate_private_key(SECP256R1())
        name = _named("An authority of tests")
        certificate = (
            _builder(name, name, key, datetime.now(UTC) - DAY, datetime.now(UTC) + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, SHA256())
        )
        (directory / "authority.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        return cls(directory, key, certificate)

    @property
    def file(self) -> Path:
        return self.directory / "authority.pem"

    def issue(self, host: str, *, ends: timedelta = DAY, self_signed: bool = False) -> Path:
        """Return a PEM file with key and certificate for this name or address, ending `ends` from now."""
        key = generate_private_key(SECP256R1())
        subject = _named(host)
        until = datetime.now(UTC) + ends
        builder = _builder(
            subject, subject if self_signed else self.certificate.subject, key, until - 3 * DAY, until
        )
        certificate = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(host)]), critical=False
        ).sign(key if self_signed else self.key, SHA256())
        path = self.directory / f"{host.replace(':', '_')}-{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        return path


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    begins_at: datetime,
    ends_at: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(ends_at)
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts unless told to."""
    return Authority.make(tmp_path_factory.mktemp("authority"))
