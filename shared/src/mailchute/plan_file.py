"""The plans file: what an installation sells or grants, under version control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from mailchute.alias import RETENTION_S
from mailchute.errors import BadSetting
from mailchute.plans import RETENTION_MAX_S, Permission, Plan
from mailchute.routes.units import octets_of, seconds_of

FILE_MAX_OCTETS = 262_144

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2_000_000_000)]


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One plan as it stands in a file."""

    mails_per_month: Count | None = None
    aliases: Count | None = None
    size: str | None = None  # "10MiB"
    retention: str | None = None  # "1h"
    retention_max: str | None = None  # without it: the same as retention
    features: tuple[Permission, ...] = ()


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1]
    plans: dict[Name, _Written]


def read_plans(path: Path) -> tuple[Plan, ...]:
    """
    Return the plans that stand in a file (docs/plans.yml is one).

    Raises:
        BadSetting: It cannot be read, or a field of it cannot be used; nothing of it is to be applied.
    """
    try:
        octets = path.read_bytes()
        if len(octets) > FILE_MAX_OCTETS:
            raise BadSetting(f"{path}: over {FILE_MAX_OCTETS} octets")
        written = msgspec.convert(yaml.safe_load(octets.decode()), _File)
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path}: not UTF-8") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise BadSetting(f"{path}:{mark.line + 1 if mark else 1}: not YAML") from None
    except msgspec.ValidationError as error:
        raise BadSetting(f"{path}: {error}") from None
    return tuple(_plan(path, name, one) for name, one in written.plans.items())


def _plan(path: Path, name: str, one: _Written) -> Plan:
    def quantity(field: str, text: str | None, reader: Any) -> int | None:
        try:
            return None if text is None else int(reader(text))
        except ValueError as error:
            raise BadSetting(f"{path}: {name}.{field}: {error}") from None

    retention_s = quantity("retention", one.retention, seconds_of)
    retention_s = RETENTION_S if retention_s is None else retention_s
    retention_max_s = quantity("retention_max", one.retention_max, seconds_of)
    retention_max_s = retention_s if retention_max_s is None else retention_max_s
    if not 0 <= retention_s <= retention_max_s <= RETENTION_MAX_S:
        raise BadSetting(f"{path}: {name}: expected retention ≤ retention_max ≤ 365d")
    if retention_max_s > retention_s and "retention.custom" not in one.features:
        raise BadSetting(f"{path}: {name}: a retention_max needs the feature retention.custom")
    return Plan(
        name=name,
        permissions=tuple(dict.fromkeys(one.features)),
        mails_per_month=one.mails_per_month,
        aliases_max=one.aliases,
        size_max_octets=quantity("size", one.size, octets_of),
        retention_s=retention_s,
        retention_max_s=retention_max_s,
    )
