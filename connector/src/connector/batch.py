"""Several values in one HTTP call: the body that goes, the stream of answers that comes back."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mailchute import wire

_ANSWER = 0x94  # an array of four: index, status, body, retry_after_s
_NIL = 0xC0
_INTEGERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_FLOATS = {0xCA: ">f", 0xCB: ">d"}
_OCTETS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}


class Malformed(ValueError):
    """What came back is no stream of answers."""


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a function said of one value."""

    status: int
    body: bytes
    retry_after_s: float | None = None


def seconds_of(retry_after: str | None) -> float | None:
    """Return the seconds a single answer's Retry-After names; None when it names a date, or nothing."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None


def body_of(bodies: list[bytes]) -> bytes:
    """Return the batch: one MessagePack array of octets."""
    return wire.encode(bodies)


class AnswerStream:
    """Takes the response in pieces, and gives each answer as soon as it is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[int, FunctionAnswer]]:
        """
        Take a piece; yield (index, answer) for each that it completes.

        Raises:
            Malformed: It is something else; nothing after it can be read.
        """
        self._buffer += piece
        position = 0
        try:
            while position < len(self._buffer):
                if self._buffer[position] != _ANSWER:
                    raise Malformed("expected an array of four")
                index, after = self._number(position + 1)
                status, after = self._number(after)
                body, after = self._octets(after)
                retry_after_s: float | None = None
                if self._buffer[after] == _NIL:
                    after += 1
                else:
                    retry_after_s, after = self._number(after)
                position = after
                yield int(index), FunctionAnswer(int(status), body, retry_after_s)
        except (IndexError, struct.error):
            pass  # the rest has not come yet
        finally:
            del self._buffer[:position]

    def _number(self, at: int) -> tuple[float, int]:
        kind = self._buffer[at]
        if kind < 0x80:
            return kind, at + 1
        layout = _INTEGERS.get(kind) or _FLOATS.get(kind)
        if layout is None:
            raise Malformed(f"expected a number, not type {kind:#x}")
        return struct.unpack_from(layout, self._buffer, at + 1)[0], at + 1 + struct.calcsize(layout)

    def _octets(self, at: int) -> tuple[bytes, int]:
        layout = _OCTETS.get(self._buffer[at])
        if layout is None:
            raise Malformed(f"expected octets, not type {self._buffer[at]:#x}")
        start = at + 1 + struct.calcsize(layout)
        end = start + struct.unpack_from(layout, self._buffer, at + 1)[0]
        if end > len(self._buffer):
            raise IndexError
        return bytes(self._buffer[start:end]), end
