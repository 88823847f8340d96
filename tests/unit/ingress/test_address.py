"""The arguments of MAIL and RCPT."""

import pytest
from mailchute.errors import MalformedPath
from smtp_ingress.address import BadSyntax, argument, is_relay_attempt, path_of


@pytest.mark.parametrize(
    ("text", "path", "parameters"),
    [
        ("FROM:<>", "", {}),
        ("from:<a@b>", "a@b", {}),
        ("FROM: <a@b>", "a@b", {}),
        ("FROM:a@b", "a@b", {}),
        ("FROM:<a@b> SIZE=12 smtputf8", "a@b", {"SIZE": "12", "SMTPUTF8": None}),
        ("FROM:<a@b> ENVID=Qq", "a@b", {"ENVID": "Qq"}),
        ('FROM:<"a> b"@c>', '"a> b"@c', {}),
        ('FROM:<"a\\"b"@c>', '"a\\"b"@c', {}),
        ("FROM:<@x,@y:a@b>", "@x,@y:a@b", {}),
    ],
)
def test_a_path_and_its_parameters_are_divided(text, path, parameters):
    assert argument(text, "FROM:") == (path, parameters)


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "a@b", "TO:<a@b>", "FROM:", "FROM:<a@b", "FROM:<a@b>x", "FROM:<a@b> SIZE=1 SIZE=2"),
        *("FROM:<a@b> SIZE=", "FROM:<<a@b>>", 'FROM:<"a@b>', "FROM:<a@b>> X=1", "FROM:<a@b> =1"),
    ],
)
def test_what_is_no_argument_is_refused(text):
    with pytest.raises(BadSyntax):
        argument(text, "FROM:")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Ann@Inbox.TEST", "Ann@inbox.test"),
        ("ann@inbox.test.", "ann@inbox.test"),
        ("@relay.test,@b.test:ann@inbox.test", "ann@inbox.test"),
        ('"ann"@inbox.test', "ann@inbox.test"),
        ('"a\\nn"@inbox.test', "ann@inbox.test"),
        ('"ann smith"@inbox.test', '"ann smith"@inbox.test'),
        ('"a@b"@inbox.test', '"a@b"@inbox.test'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:db8::1]", "ann@[ipv6:2001:db8::1]"),
        ("süd@köln.test", "süd@köln.test"),
        ("ann@xn--kln-sna.test", "ann@xn--kln-sna.test"),
        ("a.b+c=d/e@x_y.test", "a.b+c=d/e@x_y.test"),
    ],
)
def test_a_mailbox_is_read_in_its_one_form(text, path):
    assert str(path_of(text)) == path


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ann",
            "ann@",
            "@inbox.test",
            "a b@inbox.test",
            ".a@inbox.test",
            "a..b@inbox.test",
            "a.@inbox.test",
        ),
        *("a@-x.test", "a@x-.test", "a@x..test", "a@" + "x" * 64 + ".test", "a@[1.2.3]", "a@[x", "a@xn---"),
        *(
            "<a@b>",
            'a"b@c.test',
            '"a@c.test',
            "l" * 65 + "@x.test",
            "a\x00b@x.test",
            '"a\rb"@x.test',
            "a@b,c",
        ),
        *(
            "a@" + ".".join(["x" * 50] * 6),
            "\udcff@x.test",
            "a\u0308@x.test",
            "a@ünïcode-",
            "a@b,c",
            "a.@x.test",
        ),
    ],
)
def test_what_is_no_mailbox_is_refused(text):
    with pytest.raises(MalformedPath):
        path_of(text)


@pytest.mark.parametrize("local_part", ["a%b.test", "b.test!a", '"a@b.test"'])
def test_a_further_hop_is_seen(local_part):
    assert is_relay_attempt(local_part)
