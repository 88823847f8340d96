"""Finds the end of the content after DATA, block by block, and undoes the dot-stuffing (RFC 5321, 4.5.2)."""

from __future__ import annotations

END = b"\r\n.\r\n"


class BareNewline(Exception):
    """CR or LF without the other: some servers would see an end of data where others see none."""


class LineTooLong(Exception):
    """A line has more octets than this server takes."""


class DottedContent:
    """
    The octets from DATA's 354 to the final dot.

    Nothing but CR LF . CR LF ends them, and CR and LF never stand alone: so no other server can be
    made to see a second mail inside the first (SMTP smuggling, CVE-2023-51764 and its siblings).

    Args:
        line_limit_octets: How long a line may be. RFC 5321, 4.5.3.1.6 says 1000; real mail has more.
    """

    def __init__(self, line_limit_octets: int) -> None:
        self.rest: bytes | None = None  # once the end was seen: what came after it
        self._lines = Lines(line_limit_octets)
        self._held = b"\r\n"  # the line before the content ended so; a dot may be its first octet
        self._surplus_octets = 2  # of _held, which is not content

    def feed(self, block: bytes) -> bytes:
        """
        Return the content that is settled by this block.

        Raises:
            BareNewline, LineTooLong: The mail has to be refused.
        """
        octets = self._held + block
        end = octets.find(END)
        if end >= 0:
            settled, self._held = octets[: end + 2], b""
            self.rest = octets[end + len(END) :]
        else:
            held_count = _held_count(octets)
            settled, self._held = octets[: len(octets) - held_count], octets[len(octets) - held_count :]
        self._lines.check(settled)
        if settled and self._surplus_octets:
            settled = settled.replace(b"\r\n.", b"\r\n")[2:]
            self._surplus_octets = 0
            return settled
        return settled.replace(b"\r\n.", b"\r\n")


class Lines:
    """
    The rules every content keeps, however it is framed: CR LF only, and no endless lines.

    Blocks must not be cut between CR and LF.
    """

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = limit_octets
        self._run_octets = 0  # since the last CR LF

    def check(self, block: bytes) -> None:
        """Raises: BareNewline, LineTooLong."""
        pairs = block.count(b"\r\n")
        if pairs != block.count(b"\n") or pairs != block.count(b"\r"):
            raise BareNewline
        if self._run_octets + len(block) > self._limit_octets:
            lines = block.split(b"\r\n")
            lines[0] = bytes(self._run_octets) + lines[0]
            if max(map(len, lines)) > self._limit_octets:
                raise LineTooLong
        if pairs:
            self._run_octets = len(block) - block.rindex(b"\n") - 1
        else:
            self._run_octets += len(block)


def _held_count(octets: bytes) -> int:
    """Return how many octets at the end may be the beginning of END."""
    for count in range(len(END) - 1, 0, -1):
        if octets.endswith(END[:count]):
            return count
    return 0
