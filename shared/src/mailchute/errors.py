"""
What can go wrong, sorted by what the caller should do next:

* MailchuteError
  + TransientError          again: 4yz, HTTP 503, nak. Unknown means again
    - ContentUnavailable
    - StreamUnavailable
      . StreamFull
    - DatabaseUnavailable
      . DirectoryUnavailable
    - StorageUnavailable
    - LookupFailed
    - NewerVersion
  + PermanentError          never: 5yz, HTTP 422, dead
    - MalformedPath
    - Undecodable
    - ContentMissing
    - SecretUnreadable
* BadSetting (ValueError)   stops the start: a person has to change something

What a protocol concluded (spf=fail, an endpoint's HTTP 500) is a value and stands elsewhere.
"""

from __future__ import annotations

from typing import ClassVar


class MailchuteError(Exception):
    """Base of all errors that a room raises on purpose."""

    reply_code: ClassVar[int]  # RFC 5321, 4.2.3
    status_code: ClassVar[str]  # enhanced, RFC 3463; its first digit agrees with reply_code


class TransientError(MailchuteError):
    """The same work may succeed later, unchanged."""

    reply_code = 451
    status_code = "4.3.0"


class PermanentError(MailchuteError):
    """The same work will fail however often it is tried."""

    reply_code = 554
    status_code = "5.6.0"


class ContentUnavailable(TransientError):
    """The Object Store did not answer."""


class StreamUnavailable(TransientError):
    """JetStream did not confirm the publish in time."""


class StreamFull(StreamUnavailable):
    """The stream has reached a limit and takes nothing new until some has gone."""

    reply_code = 452
    status_code = "4.3.1"


class DatabaseUnavailable(TransientError):
    """The database did not answer, or another writer held it too long."""


class DirectoryUnavailable(DatabaseUnavailable):
    """The database that knows aliases and endpoints did not answer."""


class StorageUnavailable(TransientError):
    """The S3 storage for attachments did not answer, or refused."""


class LookupFailed(TransientError):
    """The DNS did not say whether a name has such a record: no answer, or SERVFAIL."""

    def __init__(self, name: str, kind: str, reason: str) -> None:
        super().__init__(f"{kind} {name}: {reason}")
        self.name = name
        self.kind = kind
        self.reason = reason  # "timeout", "servfail", "refused", …


class NewerVersion(TransientError):
    """A record was written by a newer release than this one: an upgrade is rolling."""


class MalformedPath(PermanentError):
    """The text is not a reverse-path or forward-path that we can use."""

    reply_code = 501
    status_code = "5.1.3"


class Undecodable(PermanentError):
    """The octets are not a value of the type that was expected."""


class ContentMissing(PermanentError):
    """The content a record refers to is gone; retention or an operator removed it."""


class SecretUnreadable(PermanentError):
    """A sealed secret does not open: the master key is another, or the row was tampered with."""


class BadSetting(ValueError):
    """A setting, file or argument cannot be used; its text is one line for a person."""
