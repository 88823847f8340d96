"""What the server says: reply code (RFC 5321, 4.2), enhanced status code (RFC 3463), a line for a person."""

from __future__ import annotations

from mailchute.errors import MailchuteError, StreamFull

REPLY_MAX_OCTETS = 512  # RFC 5321, 4.5.3.1.5, with CRLF


class Refused(Exception):
    """
    A command or a mail is answered with something other than success.

    Args:
        reply: The whole line without CRLF.
        closes: The connection ends after it, for what follows could not be told apart from commands.
    """

    def __init__(self, reply: str, *, closes: bool = False) -> None:
        super().__init__(reply)
        self.reply = reply
        self.closes = closes


OK = "250 2.0.0 OK"
SENDER_OK = "250 2.1.0 OK"
RECIPIENT_OK = "250 2.1.5 OK"
START_CONTENT = "354 End data with <CR><LF>.<CR><LF>"
START_TLS = "220 2.0.0 ready to start TLS"

# What aiosmtpd says in its own words, with the enhanced status code it lacks (RFC 2034).
INHERITED = {
    "250 OK": OK,
    "221 Bye": "221 2.0.0 Bye",
    "501 Syntax: QUIT": "501 5.5.4 QUIT takes no argument",
    "501 Syntax: RSET": "501 5.5.4 RSET takes no argument",
}

# Ours: the client tries again (RFC 5321, 4.2.1). They never tell what broke.
NOT_NOW = "451 4.3.0 temporary failure on our side, try again later"
FULL = "452 4.3.1 no room for more mail now, try again later"
BUSY = "452 4.3.1 too much mail in flight, try again later"
CLOSING_NOW = "451 4.3.2 this server is closing, try again later"
TOO_MANY_WAIT = "451 4.3.2 too many mails wait for an answer, try again later"
CLOSING = "421 4.3.2 {hostname} is closing, try again later"
TIMED_OUT = "421 4.4.2 {hostname} timed out waiting for you"
TOO_SLOW = "421 4.4.2 {hostname} content came too slowly"

# The order of commands.
NO_HELLO = "503 5.5.1 send EHLO first"
NO_SENDER = "503 5.5.1 send MAIL first"
NO_RECIPIENT = "503 5.5.1 send RCPT first"
NO_VALID_RECIPIENT = "554 5.5.1 no valid recipients"
NESTED_MAIL = "503 5.5.1 a transaction is under way: send RSET first"
MIXED_DATA = "503 5.5.1 BDAT has begun: DATA cannot end it (RFC 3030, 3)"
EARLY_TALKER = "554 5.5.1 you spoke before you were asked (RFC 5321, 3.1)"
EARLY_COMMAND = "503 5.5.1 wait for the reply to {command} before you go on (RFC 2920, 3.1)"

# Syntax.
BARE_NEWLINE = "521 5.5.2 lines end with CR LF, both and in this order (RFC 5321, 2.3.8)"
LINE_TOO_LONG = "500 5.5.2 command line too long"
BAD_SYNTAX = "500 5.5.2 not a command"
WRONG_PROTOCOL = "521 5.5.1 this is SMTP"
UNKNOWN_COMMAND = "500 5.5.1 command not recognized"
UNKNOWN_PARAMETER = "555 5.5.4 parameter {name} not recognized"

# Addresses.
NO_SUCH_USER = "550 5.1.1 no such address here"
NO_RELAY = "550 5.7.1 we do not relay"
PROTECTED = "550 5.7.1 this address takes no mail"
TLS_REQUIRED = "530 5.7.0 this recipient wants TLS: send STARTTLS first"
NOT_FITTING = "452 4.5.3 send this recipient in a transaction of its own"
TOO_MANY_RECIPIENTS = "452 4.5.3 too many recipients, send the rest in another transaction"
CLIENT_UNWANTED = "550 5.7.1 the owner of this address blocks mail from {client}"
SENDER_UNWANTED = "550 5.7.1 the owner of this address blocks this sender"
OVER_QUOTA = "452 4.2.2 this recipient has had all its mails of this month, try again later"
TOO_BIG_FOR_RECIPIENT = "552 5.3.4 a mail for this recipient may have {limit} octets"

# Content.
TOO_BIG = "552 5.3.4 a mail may have {limit} octets"
CONTENT_LINE_TOO_LONG = "554 5.6.0 a line of the content has over {limit} octets"
TOO_MANY_HOPS = "554 5.4.6 over {limit} Received fields: this mail goes in a loop"

# Policy.
TOO_MANY_CONNECTIONS = "421 4.7.0 {hostname} too many connections, try again later"
TOO_MANY_COMMANDS = "421 4.7.0 {hostname} too many commands"
TOO_MANY_GUESSES = "421 4.7.0 {hostname} too many addresses that do not exist, try again later"
TOO_MANY_ERRORS = "421 4.7.0 {hostname} too many errors"
TOO_MUCH_FOR_ALIAS = "450 4.7.1 too much mail for this recipient, try again later"
BLOCKED = "554 5.7.1 {client} is blocked"
SENDER_BLOCKED = "550 5.7.1 this sender is blocked"


def listed(client_ip: str, zone: str, reason: str) -> str:
    """Return why a client is refused, and where its owner finds out more."""
    return f"554 5.7.1 {client_ip} is listed by {zone}" + (f": {reason}" if reason else "")


def with_ids(text: str, ids: list[str]) -> str:
    """Return `text` with as many of these ids as fit on a reply line, and how many did not."""
    line = f"{text} {ids[0]}"
    for index, each in enumerate(ids[1:], 1):
        rest = f" and {len(ids) - index} more"
        if len(line) + 1 + len(each) + len(rest) + 2 > REPLY_MAX_OCTETS:
            return line + rest
        line += f" {each}"
    return line


def refusal_of(error: MailchuteError) -> Refused:
    """Return how our own failure is told: always as one that passes, never as what it was."""
    return Refused(FULL if isinstance(error, StreamFull) else NOT_NOW)
