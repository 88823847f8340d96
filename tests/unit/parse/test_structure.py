"""From octets to parts: header sections, trees, transfer encodings, file names, charsets."""

from __future__ import annotations

import pytest

from functions.parse.addresses import read_mailboxes
from functions.parse.bodies import disposition_of, sort_leaves
from functions.parse.charset import decode
from functions.parse.entity import Entity, read_mail
from functions.parse.filenames import safe_filename
from functions.parse.flowed import unflowed
from functions.parse.header_section import read_header_section
from functions.parse.inline_files import taken_out
from functions.parse.signatures import detected_type
from functions.parse.transfer import decode_transfer
from functions.parse.words import text_of
from tests.unit.parse.test_hostile import payload_of


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("octets", "names", "body"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nx", ["A", "B"], b"x"),
        (b"A: 1\nB: 2\n\nx", ["A", "B"], b"x"),
        (b"A: 1\r\n folded\r\n \r\nB :2\r\n\r\nx", ["A", "B"], b"x"),
        (b"From ada Mon\r\nA: 1\r\n\r\nx", ["A"], b"x"),
        (b"A: 1\r\nno field\r\nB: 2\r\n\r\nx", ["A", "", "B"], b"x"),
        (b"A: 1\r\nHello,\r\nthis is text\r\n", ["A"], b"Hello,\r\nthis is text\r\n"),
        (b"\r\nx", [], b"x"),
        (b"x", [], b"x"),
        (b"A: 1", ["A"], b""),
        (b"", [], b""),
    ],
)
def test_the_header_section_ends_where_people_would_say(octets: bytes, names: list[str], body: bytes) -> None:
    section, start = read_header_section(octets)
    assert [field.name for field in section.fields] == names
    assert octets[start:] == body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b" =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b" =?utf-8?b?R3LDvA==?= =?utf-8?q?=C3=9Fe?=", "Grüße"),
        (b" =?utf-8?b?R3LD?=\r\n =?utf-8?b?vMOfZQ==?=", "Grüße"),  # a character cut in two
        (b" =?iso-8859-1?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b" =?utf-8*de?q?x_y?=", "x y"),
        (b" =?utf-8?q?broken", "=?utf-8?q?broken"),
        (b" =?nonsense?q?a=FC?=", "aü"),
        (b" Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b" Gr\xfc\xdfe", "Grüße"),
        (b" =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b" \x1b$BF|K\\\x1b(B", "日本"),
        (b" =?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
        (b" a\r\n b", "a b"),
    ],
)
def test_a_field_body_is_one_line_of_text(body: bytes, text: str) -> None:
    assert text_of(body) == text


@pytest.mark.parametrize(
    ("encoding", "octets", "decoded"),
    [
        ("base64", b"aGVs\r\nbG8=\r\n", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),
        ("base64", b"aGVs!!bG8=", b"hello"),
        ("base64", b"aGVsbG8=\r\naGVsbG8=\r\n", b"hellohello"),
        ("base64", b"aGVsbG8=\r\n\r\n--\r\nlist footer, plain\r\n", b"hello"),
        ("base64", b"a", b""),
        ("quoted-printable", b"a=3Db=\r\nc=  \r\nd=ZZ", b"a=bcd=ZZ"),
        ("x-uuencode", b"begin 644 a\n%:&5L;&\\\n`\nend\n", b"hello"),
        ("7bit", b"a=3D", b"a=3D"),
        ("nonsense", b"a", b"a"),
    ],
)
def test_transfer_encodings_are_undone_however_sloppy(encoding: str, octets: bytes, decoded: bytes) -> None:
    assert decode_transfer(octets, encoding) == decoded


JAPANESE, RUSSIAN = "会議の資料を添付いたしますのでご確認ください。", "Уважаемый клиент! Ваш заказ отправлен."


@pytest.mark.parametrize("declared", [None, "utf-8", "us-ascii", "unknown-8bit", "utf-7", "unicode_escape"])
@pytest.mark.parametrize(
    ("text", "codec", "charset"),
    [
        (JAPANESE, "cp932", "shift_jis"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "cp866", "ibm866"),
        ("您好，这是一封测试邮件。请查收附件中的文件，谢谢。", "gb18030", "gb18030"),
        ("您好，這是一封測試郵件。請查收附件中的文件，謝謝。", "cp950", "big5"),
        ("안녕하세요. 이것은 테스트 메일입니다. 감사합니다.", "cp949", "euc-kr"),
        ("Grüße aus München, schöne Tage", "cp1252", "windows-1252"),
        ("l’été à la plage déjà", "cp1252", "windows-1252"),
        ("Καλημέρα σας, αυτό είναι ένα μήνυμα", "cp1253", "windows-1253"),
        ("שלום, זוהי הודעת בדיקה", "cp1255", "windows-1255"),
        ("Hyvää päivää, kiitos tilauksestasi", "cp1252", "windows-1252"),
        ("Það er góður dagur, þú ert hér", "cp1252", "windows-1252"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250", "windows-1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "iso8859-2", "iso-8859-2"),
        ("Dziękujemy za zamówienie, prosimy o przesłanie załączników", "cp1250", "windows-1250"),
        ("Dziękujemy, prosimy o przesłanie załączników, żeby zdążyć", "iso8859-2", "iso-8859-2"),
        ("A csomagot hétfőn küldjük, üdvözlettel: ügyfélszolgálat", "cp1250", "windows-1250"),
        ("Bună ziua, vă mulţumim, aşteptăm răspunsul", "cp1250", "windows-1250"),
        ("Pošiljka će stići sutra, molimo potvrdite narudžbu", "cp1250", "windows-1250"),
        ("Siparişiniz için teşekkür ederiz, ürününüz yarın gönderilecek", "cp1254", "windows-1254"),
        ("Dėkojame už jūsų užsakymą, prekės bus išsiųstos rytoj", "cp1257", "windows-1257"),
        ("مرحبا، شكرا لطلبك. سيتم إرسال الشحنة غدا", "cp1256", "windows-1256"),
        ("สวัสดีครับ ขอบคุณสำหรับการสั่งซื้อ", "cp874", "windows-874"),
        ("Grüße", "utf-8", "utf-8"),
    ],
)
def test_a_charset_that_is_not_declared_is_found_out(
    text: str, codec: str, charset: str, declared: str | None
) -> None:
    if declared == "utf-7":
        assert "+" not in decode(b"+ADw-", declared).text[1:]
    assert decode(text.encode(codec), declared) == (text, charset)


def test_escapes_that_hide_markup_stay_what_they_are() -> None:
    assert decode(b"+ADw-script+AD4-", "utf-7").text == "+ADw-script+AD4-"
    assert decode(b"\\u003cscript", "unicode_escape").text == "\\u003cscript"


def test_a_declared_charset_goes_before_all_guessing() -> None:
    assert decode("ü".encode("cp850"), "cp850") == ("ü", "cp850")
    assert decode("Grüße".encode(), "iso-8859-1") == ("Grüße", "utf-8")  # mislabelled so often


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=a b (1).pdf", "a b (1).pdf"),
        ("attachment; filename*=utf-8''gr%C3%BCn.pdf", "grün.pdf"),
        ("attachment; filename*0*=utf-8''gr%C3%BC; filename*1=n.pdf", "grün.pdf"),
        ("attachment; filename*1=n.pdf; filename*0=gru", "grun.pdf"),
        ('attachment; filename="=?utf-8?q?gr=C3=BCn.pdf?="', "grün.pdf"),
        ("attachment; filename=\"a.pdf\"; filename*=utf-8''b.pdf", "b.pdf"),
        ('attachment; filename="\\"q\\".pdf"', '"q".pdf'),
        ("attachment; name=c.pdf", "c.pdf"),
        ('attachment; filename="open', "open"),
        ("attachment", ""),
    ],
)
def test_file_names_are_what_the_sender_meant(parameters: str, name: str) -> None:
    entity = read_mail(f"Content-Disposition: {parameters}\r\n\r\n".encode())
    assert disposition_of(entity) == ("attachment", name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.exe", "a.exe"),
        ("a\r\nX-Evil: 1.txt", "a__X-Evil_ 1.txt"),
        ("gpj.\u202eexe", "gpj._exe"),
        (".htaccess", "htaccess"),
        ("CON.txt", "_CON.txt"),
        ("a\0.pdf", "a_.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("履歴書.pdf", "履歴書.pdf"),
        ("...", ""),
    ],
)
def test_file_names_are_safe_to_write_to_a_disk(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


HTML = "Content-Type: text/html\n\n<b>a</b>"
PNG = "Content-Type: image/png\n\n1"
ICS = "Content-Type: text/calendar\n\nBEGIN:VCALENDAR"
NAMED_HTML = "Content-Disposition: inline; filename=a.html\n" + HTML
NAMED = "Content-Disposition: inline; filename=b.txt\n\nb"


INNER = "Content-Type: multipart/alternative; boundary=y\n\n--y\n\na\n--y\n" + HTML + "\n--y--"
AROUND = '<div style="white-space: pre-wrap">1</div>\n<b>a</b>\n<div style="white-space: pre-wrap">2</div>'


def multipart(subtype: str, *parts: str) -> str:
    inner = "".join(f"--x\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{subtype}; boundary=x\n\n{inner}--x--\n"


def outer(*parts: str) -> str:
    return multipart("mixed", *parts).replace("boundary=x", "boundary=z").replace("--x", "--z")


def shape(entity: Entity) -> object:
    return [entity.media_type, *map(shape, entity.children)] if entity.children else entity.media_type


@pytest.mark.parametrize(
    ("mail", "tree"),
    [
        (multipart("mixed", "\na", "\nb"), ["multipart/mixed", "text/plain", "text/plain"]),
        (multipart("mixed", "\nnot closed").removesuffix("--x--\n"), ["multipart/mixed", "text/plain"]),
        ("Content-Type: multipart/mixed; boundary=x\n\nno parts", "multipart/mixed"),
        (multipart("mixed", HTML).replace("; boundary=x", ""), ["multipart/mixed", "text/html"]),
        (multipart("mixed", HTML).replace("boundary=x", "boundary=y"), ["multipart/mixed", "text/html"]),
        (multipart("digest", "\nSubject: a\n\nb"), ["multipart/digest", ["message/rfc822", "text/plain"]]),
        ("Content-Type: text\n\na", "text/plain"),
        ("Content-Type: nonsense\n\na", "application/octet-stream"),
        ("a body alone", "text/plain"),
    ],
)
def test_trees_are_what_mail_clients_see(mail: str, tree: object) -> None:
    assert shape(read_mail(crlf(mail))) == tree


@pytest.mark.parametrize(
    ("mail", "texts", "htmls", "attachments"),
    [
        ("Content-Type: application/pdf\n\nx", [], [], ["application/pdf"]),
        ("Content-Type: text/plain; name=a.txt\n\nthe only part", ["the only part"], [], []),
        ("Content-Disposition: attachment\n\nx", [], [], ["text/plain"]),
        (multipart("mixed", "\na", PNG, "\nafter"), ["a", "after"], [], ["image/png"]),
        (multipart("alternative", "\na", HTML, ICS), ["a"], ["<b>a</b>"], ["text/calendar"]),
        (multipart("alternative", outer(INNER)), ["a"], ["<b>a</b>"], []),
        (multipart("alternative", outer("\n1", HTML, "\n2")), [], [AROUND], []),
        (multipart("mixed", HTML, HTML), [], ["<b>a</b>", "<b>a</b>"], []),
        (multipart("related", HTML, PNG), [], ["<b>a</b>"], ["image/png"]),
        (multipart("alternative", NAMED, NAMED_HTML, PNG), ["b"], ["<b>a</b>"], ["image/png"]),
        (multipart("mixed", "\na", NAMED), ["a"], [], ["text/plain"]),
        ("Content-Type: multipart/mixed; boundary=x\n\nno boundary", ["no boundary"], [], []),
        ("Content-Type: message/rfc822\n\nSubject: inner\n\nx", [], [], ["message/rfc822"]),
        ("Content-Type: text/rtf\n\n{\\rtf1}", [], [], ["text/rtf"]),
    ],
)
def test_nothing_that_came_is_lost(
    mail: str, texts: list[str], htmls: list[str], attachments: list[str]
) -> None:
    bodies = sort_leaves(read_mail(crlf(mail)))
    assert [slot.text for slot in bodies.slots if slot.text] == texts
    assert [slot.html for slot in bodies.slots if slot.html] == htmls
    assert [part.entity.media_type for part in bodies.attachments] == attachments


def test_files_in_a_text_are_taken_out() -> None:
    text, files = taken_out(b"hi\nbegin 644 a.txt\n%:&5L;&\\\n`\nend\nbye\n")
    assert (text, files) == (b"hi\n\nbye\n", [("a.txt", b"hello")])
    encoded = bytes((octet + 42) % 256 for octet in b"hello")
    text, files = taken_out(
        b"hi\r\n=ybegin line=128 size=5 name=b c.bin\r\n" + encoded + b"\r\n=yend size=5\r\n"
    )
    assert (text, files) == (b"hi\r\n\r\n", [("b c.bin", b"hello")])
    assert taken_out(b"begin 644 copies of it\nplease, and no more\nend") == (
        b"begin 644 copies of it\nplease, and no more\nend",
        [],
    )


def test_flowed_paragraphs_are_put_together() -> None:
    assert unflowed("a \nb\n> c \n> d\n-- \nsig", delete_space=False) == "a b\n> c d\n-- \nsig"
    assert unflowed("日 \n本", delete_space=True) == "日本"
    assert unflowed("a \n> b", delete_space=False) == "a \n> b"


@pytest.mark.parametrize(
    ("text", "mailboxes"),
    [
        ("a@b.test", [(None, "a@b.test")]),
        ("Ada <a@B.TEST>, c@d.test", [("Ada", "a@b.test"), (None, "c@d.test")]),
        ('"Lovelace, Ada" <a@b.test>', [("Lovelace, Ada", "a@b.test")]),
        ("a@b.test (Ada)", [("Ada", "a@b.test")]),
        ("=?utf-8?q?J=C3=BCrgen?= <a@b.test>", [("Jürgen", "a@b.test")]),
        ("friends: a@b.test, c@d.test;", [(None, "a@b.test"), (None, "c@d.test")]),
        ("a@b.test,", [(None, "a@b.test")]),
        ("undisclosed-recipients:;", []),
        ("", []),
    ],
)
def test_address_lists_are_read(text: str, mailboxes: list[tuple[str | None, str]]) -> None:
    assert [(box.name, box.email) for box in read_mailboxes(text)] == mailboxes


@pytest.mark.parametrize(
    ("octets", "media_type"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (b"MZ\x90", "application/x-msdownload"),
        (b"PK\x03\x04" + b"\0" * 26 + b"META-INF/MANIFEST.MF", "application/java-archive"),
        (b"PK\x03\x04", "application/zip"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_octets_tell_what_they_are(octets: bytes, media_type: str | None) -> None:
    assert detected_type(octets) == media_type


def test_an_inline_image_keeps_its_content_id_and_each_text_says_how_it_was_read() -> None:
    image = "Content-Type: image/png\nContent-ID: <logo@b.test>\n\n1"
    html = 'Content-Type: text/html; charset=us-ascii\n\n<img src="cid:logo@b.test">Grüße'
    message = payload_of(crlf("From: a@b.test\n" + multipart("related", html, image))).message
    (attachment,) = message.attachments
    assert (attachment.content_id, attachment.disposition) == ("logo@b.test", "inline")
    (part,) = message.content.parts
    assert (part.charset_declared, part.charset_used) == ("us-ascii", "utf-8")
