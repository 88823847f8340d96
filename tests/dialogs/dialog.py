"""
Plays a dialog with a server: a file of lines, what one side says and what the other must answer.

    c tcp_connect         connect c (the rest of the line is not used)
    c -> EHLO client      send a line and CR LF
    c ~> 'x' * 9 + '\\n'   send octets, written as Python strings joined and repeated
    c <- 250 2.0.0 OK     the next line is exactly this
    c <~ 250              the next line begins so (a regular expression)
    c <... 250            read lines until one begins so
    c close               close c
    c <eof                the server has closed

The notation is the one of chasquid's dialogs, so that those can be played too.
"""

from __future__ import annotations

import ast
import re
import socket
from collections.abc import Callable
from pathlib import Path

WAIT_S = 20
_STEP = re.compile(r"(\w+) +(tcp_connect|close|->|~>|<-|<~|<\.\.\.|<eof)(?: (.*))?")

Judge = Callable[[str, str], bool]


def matches(expected: str, line: str) -> bool:
    """Return whether the line begins as the regular expression says."""
    return re.match(expected, line) is not None


def same_class(expected: str, line: str) -> bool:
    """Return whether the first digits agree: what a client's next step depends on (RFC 5321, 4.2.1)."""
    return line[:1] == expected.lstrip()[:1]


def play(file: Path, address: tuple[str, int], *, judge: Judge = matches) -> None:
    """Play the dialog; AssertionError names the line that went otherwise."""
    connections: dict[str, _Connection] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        step = _STEP.fullmatch(line.rstrip("\n"))
        assert step, f"{file.name}:{number}: not a step: {line}"
        name, verb, text = step[1], step[2], step[3] or ""
        if verb == "tcp_connect":
            connections[name] = _Connection(address)
        else:
            found = connections[name].take(verb, text, judge)
            assert found is None, f"{file.name}:{number}: {line!r} was answered {found!r}"
    for connection in connections.values():
        connection.close()


class _Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=WAIT_S)
        self._lines = self._socket.makefile("rb")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def take(self, verb: str, text: str, judge: Judge) -> str | None:
        """Do one step; return what came instead of what was expected, or None."""
        if verb == "->":
            self._socket.sendall(text.encode() + b"\r\n")
        elif verb == "~>":
            self._socket.sendall(_text_of(ast.parse(text, mode="eval").body).encode())
        elif verb == "close":
            self.close()
        elif verb == "<eof":
            return self._line() or None
        elif verb == "<...":
            while (line := self._line()) and line[3:4] == "-":
                pass
            return None if judge(text, line) else line
        else:
            line = self._line()
            is_good = line == text if verb == "<-" and judge is matches else judge(text, line)
            return None if is_good else line
        return None

    def _line(self) -> str:
        return self._lines.readline().decode().removesuffix("\r\n")


def _text_of(node: ast.expr) -> str:
    """Return the string an expression of strings, + and * stands for."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text_of(left) + _text_of(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int() as count)):
            return _text_of(left) * count
    raise ValueError(ast.dump(node))
