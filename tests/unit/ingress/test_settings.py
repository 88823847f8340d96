"""What an operator can set, and what is said of a mistake."""

import pytest
from mailchute.errors import BadSetting
from smtp_ingress.settings import Settings


def test_the_defaults_are_the_fields_usual_ones():
    settings = Settings.read({})
    assert (settings.host, settings.port) == ("127.0.0.1", 2525)
    assert settings.limits.message_octets == 26_214_400
    assert settings.limits.recipients == 100
    assert settings.timers.command_s == 300
    assert settings.tls_cert_file is None
    assert settings.metrics is None


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SMTP", "nowhere", "host:port"),
        ("MAX_MESSAGE_OCTETS", "1", "a whole number from 65536"),
        ("MAX_RECIPIENTS", "99", "a whole number from 100"),
        ("COMMAND_TIMEOUT_S", "soon", "seconds"),
        ("PROXY_FROM", "everyone", "networks"),
        ("METRICS", "0.0.0.0:9100", "a loopback address"),
        ("TLS_CERT_FILE", "/nowhere", "a file that can be read"),
        ("DNSBL", "a.test=maybe", "zone=refuse"),
        ("POSTMASTER_ALIAS", "postmaster", "a mailbox"),
        ("HOSTNAME", "my host", "a host name"),
        ("LOG_LEVEL", "LOUD", "one of"),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_is_allowed(name, value, allowed):
    with pytest.raises(BadSetting, match=f"MAILCHUTE_{name} is {value!r}: expected {allowed}"):
        Settings.read({f"MAILCHUTE_{name}": value})


def test_a_certificate_needs_its_key(tmp_path):
    (tmp_path / "cert.pem").touch()
    with pytest.raises(BadSetting, match="expected both, or none"):
        Settings.read({"MAILCHUTE_TLS_CERT_FILE": str(tmp_path / "cert.pem")})
