"""Signatures, checked by the vectors and the library of Standard Webhooks and by openssl's mathematics."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mailchute import signing
from mailchute.errors import SecretUnreadable
from standardwebhooks import Webhook, WebhookVerificationError

# The example of the Standard Webhooks specification and libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'


def pem_of(key: signing.PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_v1_gives_the_published_vector() -> None:
    signature = signing.sign_v1(SECRET, MESSAGE_ID, TIMESTAMP, BODY)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_their_library_accepts_a_new_secret_and_refuses_any_other_body() -> None:
    secret, now = signing.new_secret(), int(time.time())
    fields = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signing.sign_v1(secret, "msg_1", now, BODY),
    }
    Webhook(secret).verify(BODY, fields)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", fields)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_YWJj", b"abc"),
        ("whsec_YWI", b"ab"),  # without padding
        ("whsec_", b"whsec_"),  # encodes nothing: a key anyone could guess
        ("whsec_not base64!", b"whsec_not base64!"),
        ("whsec_ä", "whsec_ä".encode()),
        ("my own words", b"my own words"),
        ("pässwort", "pässwort".encode()),
    ],
)
def test_the_key_is_what_whsec_encodes_or_the_text_itself(secret: str, key: bytes) -> None:
    assert signing.key_of(secret) == key


def test_a_body_signature_is_hex_hmac_with_the_secret_as_its_owner_sees_it() -> None:
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert signing.sign_body(SECRET, BODY) == expected


def test_v1a_verifies_with_the_public_key_alone() -> None:
    key = Ed25519PrivateKey.generate()
    version, _, signature = signing.sign_v1a(key, MESSAGE_ID, TIMESTAMP, BODY).partition(",")
    told = signing.public_text_of(key.public_key()).removeprefix("whpk_")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(told))
    public.verify(base64.b64decode(signature), f"{MESSAGE_ID}.{TIMESTAMP}.".encode() + BODY)
    assert version == "v1a"
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature), BODY)


def test_one_pem_text_holds_several_keys() -> None:
    rsa, ed25519 = generate_rsa(65537, 2048), Ed25519PrivateKey.generate()
    first, second = signing.private_keys("a comment\n" + pem_of(rsa) + pem_of(ed25519))
    assert (pem_of(first), pem_of(second)) == (pem_of(rsa), pem_of(ed25519))
    assert signing.private_keys("") == ()


@pytest.mark.parametrize(
    "pem",
    [
        "rubbish",
        "-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n",
        pem_of(generate_ec(SECP256R1())),
    ],  # type: ignore[arg-type]
    ids=["no pem", "broken pem", "another kind"],
)
def test_what_is_no_key_of_ours_is_refused_without_being_told(pem: str) -> None:
    with pytest.raises(SecretUnreadable) as refused:
        signing.private_keys(pem)
    assert "rubbish" not in str(refused.value)


def test_jwks_has_the_thumbprint_of_rfc_8037_appendix_a() -> None:
    # RFC 8037, A.1 to A.3: the private key, and its thumbprint.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    [key] = signing.jwks_of((Ed25519PrivateKey.from_private_bytes(seed),))["keys"]
    assert key["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_jwks_never_holds_a_private_half() -> None:
    told = signing.jwks_of((generate_rsa(65537, 2048), Ed25519PrivateKey.generate()))["keys"]
    assert [set(key) for key in told] == [
        {"e", "kty", "n", "kid", "alg", "use"},
        {"crv", "kty", "x", "kid", "alg", "use"},
    ]
