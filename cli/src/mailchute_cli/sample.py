"""The mail that the demo sends: a text, an HTML body with links, an attachment."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

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


def sample() -> EmailMessage:
    """Return the mail, with a Message-ID of its own: a second one is no resend of the first."""
    mail = EmailMessage()
    mail["From"] = f"Ada Example <{SENDER}>"
    mail["To"] = f"Support <{RECIPIENT}>"
    mail["Subject"] = SUBJECT
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain="example.org")
    mail.set_content(TEXT)
    mail.add_alternative(HTML, subtype="html")
    mail.add_attachment(INVOICE, maintype="text", subtype="csv", filename="invoice-117.csv")
    return mail
