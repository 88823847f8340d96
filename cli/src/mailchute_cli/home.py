"""The data directory of one installation: its lock, its secrets, its ports, and what lies where."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from mailchute.errors import BadSetting

from mailchute_cli.ports import free_port

LEFTOVERS_S = 10.0  # after kill -9 the children's deaths may take a moment


class Home:
    """
    DIR of `mailchute up`: made when it is not there, for its owner alone.

    Raises:
        BadSetting: It cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._lock_descriptor: int | None = None
        try:
            for part in (self.directory, self.logs, self.secrets):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(f"--data {directory} cannot be used: {error.strerror}") from None

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    @property
    def nats(self) -> Path:
        return self.directory / "nats"

    @property
    def s3(self) -> Path:
        return self.directory / "s3"

    @property
    def spam_model(self) -> Path:
        return self.directory / "spam-model"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'mailchute.db'}"

    def lock(self) -> int:
        """
        Take the directory for this process and its children; return the descriptor they inherit.

        The lock ends when the last of them has ended, so no two ever share a store.

        Raises:
            BadSetting: Another `up` has it.
        """
        path = self.directory / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LEFTOVERS_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
                if _is_alive(holder) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise BadSetting(
                        f"{self.directory} is in use by `mailchute up` (process {holder or '?'}): "
                        "stop it, or choose another directory with --data"
                    ) from None
                time.sleep(0.05)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock_descriptor = descriptor
        return descriptor

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> Path:
        """Return the file of a secret, mode 0600, made the first time it is asked for."""
        path = self.secrets / name
        if not path.exists():
            _write_durably(path, make().rstrip() + "\n")
        return path

    def master_key(self) -> Path:
        """Return the file of the key that seals secrets in the database: 32 octets in base64."""
        return self.secret("master-key", lambda: base64.b64encode(os.urandom(32)).decode())

    def signing_key(self) -> Path:
        """Return the file of the keys that sign POSTs: PEM, Ed25519 and RSA."""
        return self.secret("signing-key", _new_signing_keys)

    def ports(self, names: tuple[str, ...]) -> dict[str, int]:
        """
        Return a free port for each name, the same as the last time wherever it is still free.

        Links to attachments name the S3 port, so it should stay.
        """
        known = self.ports_known()
        for name in names:
            of_others = {port for other, port in known.items() if other != name}
            known[name] = free_port(of_others, first=known.get(name))
        _write_durably(self._ports_file, json.dumps(known, indent=1) + "\n")
        return {name: known[name] for name in names}

    def ports_known(self) -> dict[str, int]:
        """Return the ports as they were last given, by name."""
        try:
            return msgspec.json.decode(self._ports_file.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):  # not there yet, or not as we wrote it
            return {}

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"


def _new_signing_keys() -> str:
    from mailchute.signing import new_private_keys  # noqa: PLC0415 - of use at the first start alone

    return new_private_keys()


def _write_durably(path: Path, text: str) -> None:
    """Write the file whole or not at all, even when the power fails in between."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and Path(f"/proc/{pid}").exists()
