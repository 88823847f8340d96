"""Fields that bodies have in common: how long a text may be, and what is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from .problem import unusable

Value = TypeVar("Value")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
DomainName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]  # RFC 5321, 4.5.3.1.2
LocalPart = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]  # of a pattern; else RFC 5321's 64
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Pem = Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
BasicAuth = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]


def checked(field: str, check: Callable[[Any], Value], value: Any) -> Value:
    """
    Return what the check makes of the value.

    Raises:
        Problem: 422, it names the field.
    """
    try:
        return check(value)
    except ValueError as error:
        raise unusable(field, error) from None


def given(body: msgspec.Struct, *names: str) -> dict[str, Any]:
    """Return those of the body's fields that were sent."""
    values = {name: getattr(body, name) for name in names}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}
