"""The mail that the demo sends: a text, an HTML body with links, an attachment; signed by DKIM."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DOMAIN = "example.org"
SELECTOR = "demo"
SENDER = "ada@example.org"
RECIPIENT = "support+demo@inbox.test"
SUBJECT = "Invoice 2026-117, and a question"

TEXT = """\
Hello,

the invoice is attached. Could you look at line 3? It differs from our order:
https://shop.example/orders/117

Ada

> On Friday you wrote:
> we will send it next week.
"""

HTML = """\
<html><body>
<h2>Invoice 2026-117</h2>
<p>Hello,</p>
<p>the invoice is <b>attached</b>. Could you look at <i>line 3</i>? It differs from
<a href="https://shop.example/orders/117">our order</a>.</p>
<table><tr><th>line</th><th>ordered</th><th>billed</th></tr>
<tr><td>3</td><td>12</td><td>120</td></tr></table>
<p>Ada</p>
<blockquote>On Friday you wrote:<br>we will send it next week.</blockquote>
</body></html>
"""

INVOICE = b"line;article;count;price\n1;paper;10;4.90\n2;ink;2;31.00\n3;envelopes;120;0.10\n"


def sample(private_key_pem: str) -> bytes:
    """Return the mail, with a Message-ID of its own: a second one is no resend of the first."""
    import dkim  # noqa: PLC0415 - the start does not wait for what is needed after it

    mail = EmailMessage()
    mail["From"] = f"Ada Example <{SENDER}>"
    mail["To"] = f"Support <{RECIPIENT}>"
    mail["Subject"] = SUBJECT
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=DOMAIN)
    mail.set_content(TEXT)
    mail.add_alternative(HTML, subtype="html")
    mail.add_attachment(INVOICE, maintype="text", subtype="csv", filename="invoice-117.csv")
    content = mail.as_bytes(policy=SMTP)
    signature: bytes = dkim.sign(content, SELECTOR.encode(), DOMAIN.encode(), private_key_pem.encode())
    return signature + content


def new_private_key() -> str:
    """Return a key to sign the mail with, as PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode().strip()


def zone_of(private_key_pem: str) -> dict[str, list[str]]:
    """Return the TXT records that vouch for the mail: DKIM's key, SPF for this machine, a DMARC policy."""
    key = serialization.load_pem_private_key(private_key_pem.encode(), password=None)
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        DOMAIN: ["v=spf1 ip4:127.0.0.0/8 ip6:::1 -all"],
        f"{SELECTOR}._domainkey.{DOMAIN}": [f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"],
        f"_dmarc.{DOMAIN}": ["v=DMARC1; p=reject"],
    }
