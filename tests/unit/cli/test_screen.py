"""What a person sees: warnings now and then, nothing that is no event."""

from __future__ import annotations

import json

import pytest
from mailchute_cli.screen import QUIET_S, Screen


class Written:
    """A screen that keeps its lines, and a clock that stands still."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now_s = 100.0
        self.screen = Screen(self.lines.append, clock=lambda: self.now_s)


def line(level: str, event: str, **keys: object) -> str:
    return json.dumps({"at": "…", "level": level, "room": "connector", "event": event, **keys})


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_warning_is_shown_with_its_keys(level: str) -> None:
    written = Written()
    written.screen.heard("connector", line(level, "lane.opened", endpoint_id="end_1", traceback="…"))
    [shown] = written.lines
    assert "connector" in shown
    assert "lane.opened endpoint_id=end_1" in shown
    assert "traceback" not in shown


@pytest.mark.parametrize(
    "said",
    [line("info", "listening"), line("debug", "x"), "no JSON", "[]", "7", '{"level": "warning"}', "null"],
)
def test_what_is_no_warning_is_not_shown(said: str) -> None:
    written = Written()
    written.screen.heard("connector", said)
    assert written.lines == []


def test_the_same_event_is_shown_once_in_a_while() -> None:
    written = Written()
    for _ in range(100):
        written.screen.heard("connector", line("warning", "function-away"))
    written.screen.heard("ingress", line("warning", "function-away"))
    assert len(written.lines) == 2
    written.now_s += QUIET_S
    written.screen.heard("connector", line("warning", "function-away"))
    assert len(written.lines) == 3


def test_the_ready_line_begins_with_ready(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Screen().ready("mail to smtp://127.0.0.1:2525")
    assert capsys.readouterr().out == "ready  mail to smtp://127.0.0.1:2525\n"
