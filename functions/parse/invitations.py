"""Calendar events in a mail (RFC 5545), with the method that says what is asked of the reader (RFC 5546)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from icalendar import Calendar
from icalendar.error import BrokenCalendarProperty
from mailchute.payload import Attendee, CalendarEvent

from . import charset
from .bodies import Part

EVENTS_MAX_COUNT = 50  # an invitation holds one, or a series and its exceptions; the attachment holds all
ATTENDEES_MAX_COUNT = 500  # the largest meetings that calendar servers take have some hundred
CALENDAR_MAX_OCTETS = 256 * 1024  # read of one part; 50 events of 500 guests would be more, and take 0.5 s
NESTING_MAX_COUNT = 8  # VCALENDAR, VTIMEZONE, DAYLIGHT make three; the library reads them recursively
_LINE_ENDS = re.compile(r"\r*\n|\r+")
_FOLD = re.compile(r"\n[ \t]")  # RFC 5545, 3.1
_CONTENT_LINE = re.compile(r"([A-Za-z0-9-]+)[;:]")
# Only what is shown is read; of a time zone all. A repetition rule or a description of 100 KB costs nothing.
_PROPERTIES = frozenset(
    ("METHOD", "UID", "SEQUENCE", "DTSTART", "DTEND", "ORGANIZER", "ATTENDEE", "SUMMARY", "BEGIN", "END")
)
_TIMEZONE = "VTIMEZONE"
_TYPES = frozenset(("text/calendar", "application/ics", "application/calendar"))


def events_of(parts: Iterable[Part]) -> tuple[CalendarEvent, ...]:
    """Return the events of all calendar parts, each once; a part that cannot be read gives none."""
    events: dict[CalendarEvent, None] = {}
    for part in parts:
        entity = part.entity
        if entity.media_type not in _TYPES and not part.filename.lower().endswith(".ics"):
            continue
        octets = entity.body()[:CALENDAR_MAX_OCTETS]
        text = charset.decode(octets, entity.parameters.get("charset")).text
        events.update((event, None) for event in read_calendar(text, entity.parameters.get("method")))
    return tuple(events)[:EVENTS_MAX_COUNT]


def read_calendar(text: str, method: str | None = None) -> list[CalendarEvent]:
    """
    Return the events of one calendar.

    Args:
        method: The parameter of the Content-Type; the calendar's own METHOD goes before it.
    """
    events: list[CalendarEvent] = []
    try:
        for calendar in Calendar.from_ical(tidied(text), multiple=True):
            own_method = calendar.get("method")
            named = str(own_method or method or "").upper() or None
            events.extend(
                _event(component, named) for component in calendar.walk("VEVENT")[:EVENTS_MAX_COUNT]
            )
    except Exception:  # noqa: BLE001 - the library raises whatever it meets; the calendar is attached anyway
        return events
    return events


def tidied(text: str) -> str:
    """
    Return the calendar's properties that are read, without what is broken about its lines: those that
    are no property, and ends that nothing began; what is not ended is ended. The library refuses the
    whole otherwise.
    """
    kept: list[str] = []
    open_names: list[str] = []
    for line in _FOLD.sub("", _LINE_ENDS.sub("\n", text)).split("\n"):
        match = _CONTENT_LINE.match(line)
        keyword = match[1].upper() if match else ""
        if not keyword or not (keyword in _PROPERTIES or _TIMEZONE in open_names):
            continue
        name = line.partition(":")[2].strip().upper()
        if keyword == "BEGIN":
            if len(open_names) == NESTING_MAX_COUNT:
                break
            open_names.append(name)
        elif keyword == "END":
            if not open_names or open_names[-1] != name:
                continue
            open_names.pop()
        kept.append(line)
    kept.extend(f"END:{name}" for name in reversed(open_names))
    return "\r\n".join(kept) + "\r\n"


def _event(component: Any, method: str | None) -> CalendarEvent:
    attendees = component.get("attendee") or []
    if not isinstance(attendees, list):
        attendees = [attendees]
    return CalendarEvent(
        method=method,
        uid=_text(component.get("uid")),
        sequence=_number(component.get("sequence")),
        start=_moment(component.get("dtstart")),
        end=_moment(component.get("dtend")),
        organizer=_address(component.get("organizer")),
        attendees=tuple(
            Attendee(email=email, partstat=_text(_parameters(each).get("PARTSTAT")))
            for each in attendees[:ATTENDEES_MAX_COUNT]
            if (email := _address(each))
        ),
        summary=_text(component.get("summary")),
    )


def _parameters(value: Any) -> Any:
    return getattr(value, "params", {})


def _text(value: Any) -> str | None:
    if isinstance(value, list):  # a property that stands twice
        value = value[0] if value else None
    return str(value) if value is not None and str(value) else None


def _address(value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return None
    return text[7:] if text[:7].lower() == "mailto:" else text


def _number(value: Any) -> int:
    try:
        return int(_text(value) or 0)
    except ValueError:
        return 0


def _moment(value: Any) -> str | None:
    """Return ISO 8601: a date for a whole day, else a time with the offset that the calendar gives."""
    if isinstance(value, list):
        value = value[0] if value else None
    try:
        moment = getattr(value, "dt", None)
    except BrokenCalendarProperty:
        return None
    return moment.isoformat() if isinstance(moment, (date, datetime)) else None
