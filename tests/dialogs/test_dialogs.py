"""Every dialog in this folder, and those of chasquid, against a running edge."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialogs.dialog import play, same_class
from tests.dialogs.rows import add_accounts
from tests.ingress.edge_process import EdgeProcess, Jet, environ_of, new_database
from tests.servers.nats import NatsServer

HERE = Path(__file__).parent
CORPUS = Path(os.environ.get("MAILCHUTE_CORPUS", HERE.parents[2] / "shared/corpus")) / "smtp/chasquid"

# Why a dialog of chasquid's is not ours.
OTHERWISE = {
    "auth": "we are no submission server: there is no AUTH",
    "aliases": "drives a command line of chasquid's",
    "sendmail": "",
    "bad_data.": "chasquid parses the header section before it answers; we take what RFC 5321 calls content",
}


@pytest.fixture(scope="module")
def address(
    nats_server_session: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    jet = Jet(nats_server_session)
    jet.create_all()
    database = new_database(
        tmp_path_factory.mktemp("dialogs"), "user@testserver", "support@inbox.test", "*@catch.test"
    )
    add_accounts(database)
    edge = EdgeProcess(environ_of(nats_server_session, database, MAX_MESSAGE_OCTETS="1048576"))
    yield "127.0.0.1", edge.listening().port
    edge.stop()
    jet.delete_all()


@pytest.mark.parametrize("file", sorted(HERE.glob("*.dialog")), ids=lambda file: file.stem)
def test_the_dialog_goes_as_written(file: Path, address: tuple[str, int]) -> None:
    play(file, address)


@pytest.mark.corpus
def test_chasquids_dialogs_end_in_the_same_kind_of_reply(address: tuple[str, int]) -> None:
    files = sorted(CORPUS.glob("*.cmy"))
    if not files:
        pytest.skip(f"0 of 19 dialogs: no corpus at {CORPUS}")
    ours = [file for file in files if not any(why and name in file.name for name, why in OTHERWISE.items())]
    for file in ours:
        play(file, address, judge=same_class)
    assert len(ours) >= 13
