"""A secret opens in its own row, with its own key, and nowhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from mailchute.errors import BadSetting, SecretUnreadable
from mailchute.sealing import Keyring, Place, Sealer

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = Place(table="endpoint", column="secret", row_id="end_1", account_id="acc_1")


def sealer(*keys: bytes, installation_id: str = "one", salt: bytes = b"s" * 32) -> Sealer:
    return Sealer(Keyring(keys or (OLD,)), installation_id=installation_id, salt=salt)


def test_what_is_sealed_opens_and_is_not_to_be_seen() -> None:
    sealed = sealer().seal("whsec_läßt sich lesen", PLACE)
    assert b"whsec" not in sealed
    assert sealer().open(sealed, PLACE) == "whsec_läßt sich lesen"


def test_the_same_text_is_never_sealed_alike() -> None:
    assert len({sealer().seal("same", PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "other",
    [
        Place(table="account", column="secret", row_id="end_1", account_id="acc_1"),
        Place(table="endpoint", column="previous_secret", row_id="end_1", account_id="acc_1"),
        Place(table="endpoint", column="secret", row_id="end_2", account_id="acc_1"),
        Place(table="endpoint", column="secret", row_id="end_1", account_id="acc_2"),
    ],
)
def test_moved_to_another_place_it_does_not_open(other: Place) -> None:
    with pytest.raises(SecretUnreadable, match="moved"):
        sealer().open(sealer().seal("text", PLACE), other)


@pytest.mark.parametrize(
    "stranger",
    [sealer(NEW), sealer(installation_id="two"), sealer(salt=b"t" * 32)],
    ids=["another key", "another installation", "another salt"],
)
def test_elsewhere_it_does_not_open(stranger: Sealer) -> None:
    with pytest.raises(SecretUnreadable):
        stranger.open(sealer().seal("text", PLACE), PLACE)


def test_altered_or_cut_anywhere_it_does_not_open() -> None:
    sealed = sealer().seal("text", PLACE)
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 1
        for octets in (bytes(altered), sealed[:index]):
            with pytest.raises(SecretUnreadable):
                sealer().open(octets, PLACE)


def test_after_a_rotation_the_newest_key_seals_and_the_older_still_opens() -> None:
    before = sealer(OLD).seal("text", PLACE)
    rotated = sealer(NEW, OLD)
    after = rotated.seal("text", PLACE)
    assert (rotated.open(before, PLACE), rotated.open(after, PLACE)) == ("text", "text")
    assert (rotated.is_newest(before), rotated.is_newest(after)) == (False, True)
    with pytest.raises(SecretUnreadable):
        sealer(OLD).open(after, PLACE)


def test_a_key_file_holds_the_newest_key_first_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(
        b"# ours\n" + base64.b64encode(NEW) + b"  # since today\n\n" + base64.b64encode(OLD) + b"\n"
    )
    assert Keyring.from_file(file).newest_id == Keyring((NEW,)).newest_id


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", base64.b64encode(b"x" * 16), b"!" * 44])
def test_a_key_file_that_holds_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    with pytest.raises(BadSetting) as refused:
        Keyring.from_file(file)
    assert str(file) in str(refused.value)
    if content:
        assert content.decode(errors="replace") not in str(refused.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read"):
        Keyring.from_file(tmp_path / "none")


def test_a_generated_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    made = Keyring.generate(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert Keyring.from_file(file).newest_id == made.newest_id
    with pytest.raises(FileExistsError):
        Keyring.generate(file)
