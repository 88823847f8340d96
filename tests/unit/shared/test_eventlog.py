"""The log is named events, one JSON object a line."""

import io
import json
import logging

from mailchute.eventlog import _Lines, event_log


def _lines(write):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines("test"))
    logger = logging.getLogger("mailchute.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        write(event_log("test"))
    finally:
        logger.removeHandler(handler)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_keys():
    [line] = _lines(lambda log: log.info("mail_accepted", mail_id="msg_1", stage="ingress"))
    assert {k: line[k] for k in ("event", "room", "level", "mail_id", "stage")} == {
        "event": "mail_accepted",
        "room": "test",
        "level": "info",
        "mail_id": "msg_1",
        "stage": "ingress",
    }


def test_a_line_break_in_a_value_does_not_break_the_line():
    assert len(_lines(lambda log: log.warning("x", reason="a\r\nb"))) == 1


def test_an_error_brings_its_traceback_and_debug_stays_silent():
    def write(log):
        log.debug("unseen")
        try:
            raise ValueError("boom")
        except ValueError as error:
            log.error("broke", error=error)

    [line] = _lines(write)
    assert line["event"] == "broke"
    assert "ValueError: boom" in line["traceback"]
