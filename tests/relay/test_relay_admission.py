"""What may go to a next hop that announces only so much."""

import pytest

from filterd.mail.envelope import Recipient
from filterd.relay.admission import mail_command, rcpt_command
from filterd.relay.hop import Capabilities
from filterd.reply import Reply

ALL = Capabilities(dict.fromkeys(("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH", "DELIVERBY"), ""))
NONE = Capabilities()


def mail(sender: str, parameters: tuple[str, ...], has: Capabilities, just_send: bool = False) -> str:
    said = mail_command(sender, parameters, has, just_send)
    return f"{said.code} {said.enhanced}" if isinstance(said, Reply) else said.decode("utf-8")


def rcpt(address: str, parameters: tuple[str, ...], has: Capabilities) -> str:
    said = rcpt_command(Recipient(address, parameters), has)
    return f"{said.code} {said.enhanced}" if isinstance(said, Reply) else said.decode("utf-8")


@pytest.mark.parametrize(
    ("sender", "parameters", "has", "said"),
    [
        ("a@b", (), NONE, "MAIL FROM:<a@b>\r\n"),
        ("", (), NONE, "MAIL FROM:<>\r\n"),
        ('"a b>"@c', (), NONE, 'MAIL FROM:<"a b>"@c>\r\n'),
        ('"a\\"b"@c', (), NONE, 'MAIL FROM:<"a\\"b"@c>\r\n'),
        ("a@b", ("size=9", "BODY=8BITMIME", "RET=HDRS", "ENVID=x+2B", "BY=9;R"), ALL,
         "MAIL FROM:<a@b> size=9 BODY=8BITMIME RET=HDRS ENVID=x+2B BY=9;R\r\n"),
        ("ü@b", ("SMTPUTF8",), ALL, "MAIL FROM:<ü@b> SMTPUTF8\r\n"),
        ("a@b", ("SIZE=9", "AUTH=<>", "BODY=7BIT"), NONE, "MAIL FROM:<a@b>\r\n"),  # each hop's own affair
        ("ü@b", ("SMTPUTF8",), NONE, "553 5.6.7"),
        ("a@b", ("SMTPUTF8",), NONE, "550 5.6.7"),
        ("a@b", ("BODY=8BITMIME",), NONE, "554 5.6.3"),
        ("a@b", ("body=8bitmime",), NONE, "554 5.6.3"),
        ("a@b", ("BODY=BINARYMIME",), ALL, "554 5.6.3"),  # wants BDAT
        ("a@b", ("RET=FULL",), NONE, "555 5.5.4"),
        ("a@b", ("ENVID=1",), NONE, "555 5.5.4"),
        ("a@b", ("FROBNICATE",), ALL, "555 5.5.4"),
        ("a@b", ("REQUIRETLS",), ALL, "555 5.5.4"),
        ("a@b", ("SIZE=9 X=1",), ALL, "501 5.5.4"),
        ("a@b", ("SIZE=9\r\nRCPT TO:<x@y>",), ALL, "501 5.5.4"),
        ("a@b>\r\nRCPT TO:<x@y", (), ALL, "501 5.1.7"),
        ("a@b> SIZE=1", (), ALL, "501 5.1.7"),
        ('"a\r\nb"@c', (), ALL, "501 5.1.7"),
        ('"a@c', (), ALL, "501 5.1.7"),
        ("a\x00@b", (), ALL, "501 5.1.7"),
        ("a b@c", (), ALL, "501 5.1.7"),
    ],
)  # fmt: skip
def test_mail(sender: str, parameters: tuple[str, ...], has: Capabilities, said: str) -> None:
    assert mail(sender, parameters, has) == said


def test_just_send_8bit_leaves_the_parameter_out() -> None:
    assert mail("a@b", ("BODY=8BITMIME",), NONE, just_send=True) == "MAIL FROM:<a@b>\r\n"
    assert mail("a@b", ("BODY=BINARYMIME",), NONE, just_send=True) == "554 5.6.3"


@pytest.mark.parametrize(
    ("address", "parameters", "has", "said"),
    [
        ("a@b", (), NONE, "RCPT TO:<a@b>\r\n"),
        ("Postmaster", (), NONE, "RCPT TO:<Postmaster>\r\n"),
        ("a@b", ("NOTIFY=NEVER", "ORCPT=rfc822;a@b"), ALL, "RCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b\r\n"),
        ("a@b", ("NOTIFY=NEVER",), NONE, "555 5.5.4"),
        ("a@b", ("ORCPT=rfc822;a@b",), NONE, "555 5.5.4"),
        ("ü@b", (), NONE, "553 5.6.7"),
        ("ü@b", (), ALL, "RCPT TO:<ü@b>\r\n"),
        ("", (), ALL, "501 5.1.3"),
        ("a@b\nQUIT", (), ALL, "501 5.1.3"),
    ],
)
def test_rcpt(address: str, parameters: tuple[str, ...], has: Capabilities, said: str) -> None:
    assert rcpt(address, parameters, has) == said


def test_a_long_hostile_address_is_read_in_linear_time() -> None:
    assert mail('"' + "\\" * 200_001, (), ALL) == "501 5.1.7"
    assert mail('""' * 100_000 + " ", (), ALL) == "501 5.1.7"
