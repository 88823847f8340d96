"""The data directory: who has it, what is secret in it, which ports are its own."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from mailchute import signing
from mailchute.errors import BadSetting
from mailchute.sealing import Keyring
from mailchute_cli.home import Home

HOLD = """
import sys, time
from pathlib import Path
from mailchute_cli.home import Home
Home(Path(sys.argv[1])).lock()
print("locked", flush=True)
time.sleep(60)
"""
LEAVE_A_CHILD = """
import subprocess, sys
from pathlib import Path
from mailchute_cli.home import Home
descriptor = Home(Path(sys.argv[1])).lock()
subprocess.Popen(["sleep", sys.argv[2]], pass_fds=(descriptor,), stdout=subprocess.DEVNULL)
"""


def test_a_second_up_is_told_who_has_the_directory(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(BadSetting, match=rf"in use by `mailchute up` \(process {holder.pid}\): stop it"):
        Home(tmp_path).lock()
    holder.kill()
    holder.communicate()
    os.close(Home(tmp_path).lock())


def test_the_lock_is_kept_until_the_last_child_has_ended(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEAVE_A_CHILD, str(tmp_path), "1.5"], check=True)
    os.close(Home(tmp_path).lock())  # waits for the child, and gets it


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = Home(tmp_path).secret("internal-token")
    again = Home(tmp_path).secret("internal-token")
    assert first == again
    assert len(first.read_text().strip()) >= 32
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    assert [path.name for path in first.parent.iterdir()] == ["internal-token"], "no draft is left"


def test_the_master_key_is_one_that_seals(tmp_path: Path) -> None:
    path = Home(tmp_path).master_key()
    assert len(base64.b64decode(path.read_text())) == 32
    Keyring.from_file(path)


def test_the_signing_key_holds_a_key_for_each_signature(tmp_path: Path) -> None:
    path = Home(tmp_path).signing_key()
    first, second = signing.private_keys(path.read_text())
    assert (type(first).__name__, type(second).__name__) == ("Ed25519PrivateKey", "RSAPrivateKey")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Home(tmp_path).signing_key().read_text() == path.read_text()


def test_ports_stay_and_no_two_names_share_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = home.ports(("a", "b")) | home.ports(("c",))
    assert len(set(first.values())) == 3
    assert Home(tmp_path).ports(("c", "b", "a")) == first


def test_a_port_that_was_written_down_for_two_is_given_to_one(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"a": 20_001, "b": 20_001}))
    assert len(set(Home(tmp_path).ports(("a", "b")).values())) == 2


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"a": "x"}', '{"a": 99999999}'])
def test_a_ports_file_that_cannot_be_read_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    ports = Home(tmp_path).ports(("a",))
    assert json.loads((tmp_path / "ports.json").read_text()) == ports


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"--data .*file/below cannot be used: Not a directory"):
        Home(tmp_path / "file" / "below")
