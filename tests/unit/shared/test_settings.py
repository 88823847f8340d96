"""Every bad setting is named, with its value and what is allowed; all of them at once."""

import ipaddress

import pytest
from mailchute.errors import BadSetting
from mailchute.settings import DnsSettings, NatsSettings, Reader, S3Settings


@pytest.mark.parametrize(
    ("read", "value", "line"),
    [
        (lambda r: r.whole("X", 1, low=1, high=9), "ten", "X is 'ten': expected a whole number from 1 to 9"),
        (lambda r: r.whole("X", 1, low=1, high=9), "10", "X is '10': expected a whole number from 1 to 9"),
        (lambda r: r.seconds("X", 1, high=60), "-1", "X is '-1': expected seconds from 0 to 60"),
        (lambda r: r.seconds("X", 1, high=60), "nan", "X is 'nan': expected seconds from 0 to 60"),
        (lambda r: r.choice("X", ("a", "b"), "a"), "c", "X is 'c': expected one of a, b"),
        (
            lambda r: r.address("X", ""),
            "2525",
            "X is '2525': expected host:port, such as 127.0.0.1:2525",
        ),
        (
            lambda r: r.address("X", ""),
            "h:99999",
            "X is 'h:99999': expected host:port, such as 127.0.0.1:2525",
        ),
        (lambda r: r.url("X", "", ("nats",)), "http://x", "X is 'http://x': expected nats://…"),
        (
            lambda r: r.networks("X"),
            "10.0.0.0/99",
            "X is '10.0.0.0/99': expected networks such as 127.0.0.0/8,10.1.2.0/24",
        ),
        (
            lambda r: r.gaps("X", (0,)),
            "5,0",
            "X is '5,0': expected seconds between attempts, the first 0, such as 0,5,300",
        ),
        (
            lambda r: r.gaps("X", (0,)),
            "soon",
            "X is 'soon': expected seconds between attempts, the first 0, such as 0,5,300",
        ),
    ],
)
def test_a_mistake_names_the_setting_its_value_and_what_is_allowed(read, value, line):
    reader = Reader({"X": value})
    read(reader)
    with pytest.raises(BadSetting) as caught:
        reader.check()
    assert str(caught.value) == line


def test_all_mistakes_are_told_at_once():
    reader = Reader({"A": "x", "B": "y"})
    reader.whole("A", 1, low=0, high=2)
    reader.networks("B")
    with pytest.raises(BadSetting) as caught:
        reader.check()
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["A", "B"]


def test_an_empty_setting_is_as_good_as_none():
    reader = Reader({"X": " "})
    assert reader.whole("X", 7, low=0, high=9) == 7
    assert reader.text("X", "d") == "d"
    assert reader.gaps("X", (0, 5)) == (0, 5)
    reader.check()


def test_what_is_right_is_read():
    reader = Reader(
        {"A": "[::1]:25", "N": "127.0.0.0/8, ::1/128", "G": "0,0.5,2", "MAILCHUTE_DNS": "127.0.0.1:5353"}
    )
    assert reader.address("A", "") == ("::1", 25)
    assert reader.networks("N") == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert reader.gaps("G", (0,)) == (0, 0.5, 2)
    assert DnsSettings.read(reader) == DnsSettings(host="127.0.0.1", port=5353)
    assert DnsSettings.read(Reader({"MAILCHUTE_DNS": "9.9.9.9"})) == DnsSettings(host="9.9.9.9", port=53)
    assert DnsSettings.read(Reader({})) == DnsSettings(host="", port=53)
    reader.check()


def test_a_secret_comes_from_the_file_its_setting_names(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    reader = Reader({"MAILCHUTE_S3_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert S3Settings.read(reader).secret_key == "s3cret"
    reader.check()


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path):
    reader = Reader({"X_FILE": str(tmp_path / "none")})
    reader.secret("X")
    with pytest.raises(BadSetting, match=r"X_FILE is .*none.*No such file"):
        reader.check()


def test_a_password_in_a_url_is_not_told():
    reader = Reader({"MAILCHUTE_NATS_URL": "http://user:hunter2@host"})
    NatsSettings.read(reader)
    with pytest.raises(BadSetting) as caught:
        reader.check()
    assert "hunter2" not in str(caught.value)
