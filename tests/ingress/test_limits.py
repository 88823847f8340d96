"""What hostile and careless clients meet."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from mailchute.subjects import MAIL

from tests.ingress.edge_process import EdgeProcess, Jet, new_content, until

Start = Callable[..., EdgeProcess]
NOBODY_EXEMPT = {"LIMITS_EXEMPT": "192.0.2.0/24"}


def first_line(edge: EdgeProcess, *sent: bytes) -> bytes:
    """Connect, send, and return the first line that comes."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        for each in sent:
            client.sendall(each)
        return client.makefile("rb").readline()


def begun(edge: EdgeProcess) -> smtplib.SMTP:
    """Return a client that has heard 354."""
    client = edge.client()
    client.ehlo()
    client.mail("ann@sender.test")
    client.rcpt("support@inbox.test")
    client.putcmd("data")
    assert client.getreply()[0] == 354
    return client


def test_an_early_talker_is_dropped(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(BANNER_DELAY_S="0.5")
    assert first_line(edge, b"EHLO spam.test\r\n").startswith(b"554 5.5.1")
    assert first_line(edge).startswith(b"220 ")


def test_connections_are_limited_in_all_and_per_network(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_CONNECTIONS_PER_NETWORK="2", **NOBODY_EXEMPT)
    with edge.client(), edge.client() as second:
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            edge.client()
        assert refused.value.smtp_code == 421
        second.quit()
        until(lambda: first_line(edge).startswith(b"220"), "room for one more")
    edge = start_edge(MAX_CONNECTIONS="1")
    with edge.client():
        assert first_line(edge).startswith(b"421 4.7.0")


def test_the_rate_of_connections_is_limited(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_CONNECTIONS_PER_NETWORK_MINUTE="5", **NOBODY_EXEMPT)
    assert [first_line(edge)[:3] for _ in range(7)] == [b"220"] * 5 + [b"421"] * 2


def test_limits_hold_over_all_processes(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(SMTP_PROCESSES="4", MAX_CONNECTIONS_PER_NETWORK="6", **NOBODY_EXEMPT)
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 4, "four processes")
    clients = [socket.create_connection(("127.0.0.1", edge.port), timeout=20) for _ in range(24)]
    heard = [client.makefile("rb").readline()[:3] for client in clients]
    # Two processes that look in the same instant may each let the last one in, or both refuse it.
    assert 3 <= heard.count(b"220") <= 9, heard
    for client in clients:
        client.close()


def test_every_limit_counts_over_all_processes(jet: Jet, start_edge: Start) -> None:
    rates = {"MAX_CONNECTIONS_PER_NETWORK_MINUTE": "12", "MAX_CONNECTIONS": "8"}
    for name, limit in rates.items():
        edge = start_edge(SMTP_PROCESSES="4", **{name: limit}, **NOBODY_EXEMPT)
        until(
            lambda edge=edge: sum(one["event"] == "listening" for one in edge.events) == 4, "four processes"
        )
        held, heard = [], []
        for _ in range(40):
            client = socket.create_connection(("127.0.0.1", edge.port), timeout=20)
            held.append(client)
            heard.append(client.makefile("rb").readline()[:3])
        for client in held:
            client.close()
        # One after the other, so no two processes look in the same instant. A window that ends in
        # between takes its share of the count along.
        assert int(limit) <= heard.count(b"220") <= int(limit) + 4, (name, heard)
        edge.stop()


def test_a_process_that_is_killed_is_started_again_and_its_counts_are_freed(
    jet: Jet, start_edge: Start
) -> None:
    edge = start_edge(SMTP_PROCESSES="2", MAX_CONNECTIONS="1")
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 2, "two processes")
    held = edge.client()
    children = Path(f"/proc/{edge.process.pid}/task/{edge.process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 4, "two processes anew")
    held.close()
    assert edge.send(new_content(), "support@inbox.test").startswith("250")
    assert edge.stop() == 0


def test_errors_and_idle_commands_end_a_session(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_ERRORS="3", MAX_IDLE_COMMANDS="10")
    with edge.client() as client:
        codes = [client.docmd("xyzzy")[0] for _ in range(5)]
    assert codes == [500, 500, 500, 500, 421]
    with edge.client() as client:
        assert [client.noop()[0] for _ in range(11)] == [250] * 10 + [421]


def test_who_guesses_addresses_is_sent_away_over_all_connections(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_UNKNOWN_PER_NETWORK_MINUTE="6", SMTP_PROCESSES="2", **NOBODY_EXEMPT)
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 2, "two processes")
    codes = []
    for number in range(7):  # each over a connection of its own
        with contextlib.suppress(smtplib.SMTPServerDisconnected), edge.client() as client:
            client.ehlo()
            client.mail("ann@sender.test")
            codes.append(client.rcpt(f"guess{number}@inbox.test")[0])
    assert codes == [550] * 6 + [421]


def test_recipients_over_the_limit_come_again(edge: EdgeProcess, streams: Jet) -> None:
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        codes = [client.rcpt(f"user{number}@catch.test")[0] for number in range(101)]
        assert codes == [250] * 100 + [452]
        code, text = client.data(new_content())
        assert code == 250
        assert len(text) <= 512 - len("250 \r\n")
        assert text.endswith(b" more")
    assert streams.count(MAIL) == 100


def test_a_hundred_recipients_of_big_content_are_a_hundred_objects(jet: Jet, start_edge: Start) -> None:
    edge = start_edge()
    content = new_content("x" * 900 + "\r\n" + "y" * 60_000)
    with edge.client() as client:
        client.ehlo()
        client.mail("ann@sender.test")
        for number in range(100):
            client.rcpt(f"user{number}@catch.test")
        assert client.data(content)[0] == 250
    assert len({mail.content.name for mail in jet.mails() if not isinstance(mail.content, bytes)}) == 100


def test_an_alias_takes_so_many_mails_a_minute(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_MAILS_PER_ALIAS_MINUTE="8", SMTP_PROCESSES="4")
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 4, "four processes")
    for _ in range(8):
        assert edge.send(new_content(), "support@inbox.test").startswith("250")
    for _ in range(4):  # whichever process takes the connection
        with edge.client() as client:
            client.ehlo()
            client.mail("ann@sender.test")
            assert client.rcpt("support@inbox.test")[0] == 450
            assert client.rcpt("sales@inbox.test")[0] == 250


def test_domains_without_a_postmaster_are_named_once_at_the_start(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(SMTP_PROCESSES="2")
    told = edge.event("no-postmaster")
    assert (
        "for these: inbox.test (postmaster, abuse). Give them" in told["reason"]
    )  # catch.test has a catch-all
    until(lambda: sum(event["event"] == "listening" for event in edge.events) == 2, "two processes")
    assert edge.stop() == 0
    assert [event["event"] for event in edge.events].count("no-postmaster") == 1


def test_a_mail_in_a_loop_is_refused(edge: EdgeProcess, streams: Jet) -> None:
    loop = b"".join(b"Received: from a by b; %d\r\n" % number for number in range(51))
    assert edge.send(loop + new_content(), "support@inbox.test").startswith("554 5.4.6")
    body = new_content() + loop
    assert edge.send(loop[: 50 * 20] + body, "support@inbox.test").startswith("250")


def test_an_endless_line_is_refused(edge: EdgeProcess, streams: Jet) -> None:
    assert edge.send(new_content("x" * 60_000), "support@inbox.test").startswith("250")
    assert edge.send(new_content("x" * 70_000), "support@inbox.test").startswith("554 5.6.0")


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\r\n.\r\r\n"])
def test_no_false_end_of_data_ends_a_mail(edge: EdgeProcess, streams: Jet, end: bytes) -> None:
    client = begun(edge)
    smuggled = b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<support@inbox.test>\r\nDATA\r\nx: y\r\n.\r\n"
    client.sock.sendall(new_content() + b"x" + end + smuggled)
    assert client.getreply()[0] == 521
    assert streams.count(MAIL) == 0


def test_a_silent_client_is_told_and_cut_off(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(COMMAND_TIMEOUT_S="0.3", DATA_TIMEOUT_S="0.3")
    with edge.client() as client:
        assert client.getreply()[0] == 421
    assert begun(edge).getreply()[0] == 421


def test_a_session_ends_however_busy_it_is(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(SESSION_TIMEOUT_S="1")
    client = begun(edge)
    with contextlib.suppress(OSError):
        for _ in range(200):
            client.sock.sendall(b"x\r\n")
            time.sleep(0.02)
    with contextlib.suppress(smtplib.SMTPServerDisconnected):
        assert client.getreply()[0] == 421


def test_with_many_connections_those_that_do_nothing_are_cut_off_soon(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(MAX_CONNECTIONS="10", STRESSED_TIMEOUT_S="0.3")
    idle = [socket.create_connection(("127.0.0.1", edge.port), timeout=20) for _ in range(10)]
    until(lambda: first_line(edge).startswith(b"220"), "an idle one to be cut off")
    for each in idle:
        each.close()


def test_a_client_that_never_reads_is_cut_off(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(COMMAND_TIMEOUT_S="0.5", MAX_IDLE_COMMANDS="1000000", MAX_CONNECTIONS="1")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.settimeout(1)
        deaf.connect(("127.0.0.1", edge.port))
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                deaf.sendall(b"HELP\r\n" * 1_000)
        until(lambda: first_line(edge).startswith(b"220"), "the deaf one to be cut off")


def test_a_blocked_client_and_a_blocked_sender_are_refused(
    jet: Jet, start_edge: Start, tmp_path: Path
) -> None:
    file = tmp_path / "blocked"
    file.write_text("203.0.113.0/24  # a network\nspam.test\nbob@sender.test\n")
    edge = start_edge(BLOCKLIST_FILE=str(file), PROXY_FROM="127.0.0.1/32")

    def proxied(ip: str, *commands: bytes) -> list[bytes]:
        with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
            lines = client.makefile("rb")
            client.sendall(f"PROXY TCP4 {ip} 127.0.0.1 1000 25\r\n".encode())
            heard = [lines.readline()]
            for command in commands:
                client.sendall(command + b"\r\n")
                heard.append(lines.readline())
            return heard

    assert proxied("203.0.113.9")[0].startswith(b"554 5.7.1 203.0.113.9 is blocked")
    heard = proxied(
        "198.51.100.1",
        b"HELO x",
        b"MAIL FROM:<a@deep.spam.test>",
        b"MAIL FROM:<BOB@sender.test>",
        b"MAIL FROM:<ann@sender.test>",
    )
    assert [line[:9] for line in heard[2:]] == [b"550 5.7.1", b"550 5.7.1", b"250 2.1.0"]


def test_the_client_behind_a_balancer_is_the_one_that_counts(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(PROXY_FROM="127.0.0.1/32")
    header = (
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
        + socket.inet_aton("198.51.100.7")
        + b"\x7f\0\0\1\x03\xe8\0\x19"
    )
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        lines = client.makefile("rb")
        client.sendall(header)
        for say in (b"", b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<support@inbox.test>", b"DATA"):
            if say:
                client.sendall(say + b"\r\n")
            lines.readline()
        client.sendall(new_content() + b".\r\n")
        assert lines.readline().startswith(b"250")
    (mail,) = jet.mails()
    assert mail.envelope.client_ip == "198.51.100.7"
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as client:
        client.sendall(b"EHLO without.header\r\n")
        assert client.recv(100) == b""


def test_a_proxy_header_from_anyone_else_is_no_header(edge: EdgeProcess) -> None:
    with edge.client() as client:
        assert client.docmd("PROXY TCP4 198.51.100.7 127.0.0.1 1000 25")[0] == 500


def test_counts_and_readiness_are_told_on_a_port_of_their_own(jet: Jet, start_edge: Start) -> None:
    edge = start_edge(METRICS="127.0.0.1:0", SMTP_PROCESSES="1")
    base = f"http://127.0.0.1:{edge.event('exposing')['port']}"
    edge.send(new_content(), "support@inbox.test")
    with urllib.request.urlopen(f"{base}/metrics") as answer:
        text = answer.read().decode()
    assert "smtp_ingress_accepted_total 1.0" in text
    assert "smtp_ingress_octets 0.0" in text
    assert urllib.request.urlopen(f"{base}/healthz").status == 200
    assert urllib.request.urlopen(f"{base}/readyz").status == 200
    jet.delete(MAIL)

    def is_unready() -> bool:
        try:
            urllib.request.urlopen(f"{base}/readyz")
        except urllib.error.HTTPError as error:
            return error.code == 503
        return False

    until(is_unready, "not ready without MAIL")


def test_a_full_disk_says_452(jet: Jet, start_edge: Start, tmp_path: Path) -> None:
    edge = start_edge(DISK=str(tmp_path), DISK_FREE_OCTETS=str(1024**5))
    with edge.client() as client:
        client.ehlo()
        assert client.mail("ann@sender.test") == (452, b"4.3.1 no room for more mail now, try again later")
