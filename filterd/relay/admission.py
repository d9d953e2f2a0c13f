"""May this sender, this recipient, go to a next hop that announces only so much? And in which words?

Our own EHLO announces nothing that the next hop lacks, so this is the second line of defence: an extension
that the next hop does not have is refused, never dropped silently. What an RFC makes a matter of each hop
alone is left out where it is not understood: SIZE (RFC 1870 section 6.1, an estimate), AUTH= (RFC 4954
section 5, a hint), BODY=7BIT (RFC 6152, the default). Addresses and parameters that could break out of
their command are refused too. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from filterd.mail.envelope import Recipient
from filterd.relay.hop import Capabilities
from filterd.reply import Reply

_ADDRESS = re.compile(r'(?:[^\x00-\x20\x7f<>"]|"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*")*')
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[^\x00-\x20\x7f=][^\x00-\x20\x7f]*)?")

_MAIL_KEYWORDS = {  # parameter: the keyword that must be announced, where it is not the parameter's own name
    "RET": "DSN",  # RFC 3461 section 4.3
    "ENVID": "DSN",
    "BODY": "8BITMIME",  # RFC 6152
    "BY": "DELIVERBY",  # RFC 2852
    "HOLDFOR": "FUTURERELEASE",  # RFC 4865
    "HOLDUNTIL": "FUTURERELEASE",
}
_RCPT_KEYWORDS = {"NOTIFY": "DSN", "ORCPT": "DSN"}  # RFC 3461 sections 4.1 and 4.2
_EACH_HOP_ALONE = frozenset({"SIZE", "AUTH"})

_BAD_SENDER = Reply(501, "Bad sender address syntax", "5.1.7")
_BAD_RECIPIENT = Reply(501, "Bad recipient address syntax", "5.1.3")
_BAD_PARAMETER = Reply(501, "Bad parameter syntax", "5.5.4")
_NO_UTF8_ADDRESS = Reply(553, "The next hop does not take internationalized addresses", "5.6.7")  # RFC 6531, 3.5
_NO_UTF8_MAIL = Reply(550, "The next hop does not take internationalized mail (SMTPUTF8)", "5.6.7")
_NO_CONVERSION = Reply(554, "The next hop takes 7-bit mail only, and conversion would break signatures", "5.6.3")


def mail_command(sender: str, parameters: Sequence[str], has: Capabilities, just_send_8bit: bool) -> bytes | Reply:
    """The MAIL command for this hop, CRLF included, or our refusal."""
    if not _ADDRESS.fullmatch(sender):
        return _BAD_SENDER
    if not sender.isascii() and not has.has("SMTPUTF8"):
        return _NO_UTF8_ADDRESS
    passed: list[str] = []
    for parameter in parameters:
        if not _PARAMETER.fullmatch(parameter):
            return _BAD_PARAMETER
        name, _, value = parameter.upper().partition("=")
        if has.has(_MAIL_KEYWORDS.get(name, name)) and value != "BINARYMIME":
            passed.append(parameter)
        elif (refusal := _unsupported(name, value, just_send_8bit)) is not None:
            return refusal
    return _command("MAIL FROM", sender, passed)


def rcpt_command(recipient: Recipient, has: Capabilities) -> bytes | Reply:
    """The RCPT command for this hop, CRLF included, or our refusal."""
    if not recipient.address or not _ADDRESS.fullmatch(recipient.address):
        return _BAD_RECIPIENT
    if not recipient.address.isascii() and not has.has("SMTPUTF8"):
        return _NO_UTF8_ADDRESS
    for parameter in recipient.parameters:
        if not _PARAMETER.fullmatch(parameter):
            return _BAD_PARAMETER
        name = parameter.upper().partition("=")[0]
        if not has.has(_RCPT_KEYWORDS.get(name, name)):
            return _unknown(name)
    return _command("RCPT TO", recipient.address, recipient.parameters)


def _unsupported(name: str, value: str, just_send_8bit: bool) -> Reply | None:
    """What to say to a MAIL parameter that the hop does not have; None to leave it out."""
    if name in _EACH_HOP_ALONE:
        return None
    if name == "BODY":  # BINARYMIME needs BDAT (RFC 3030), which no next hop is sent
        return None if value == "7BIT" or (value == "8BITMIME" and just_send_8bit) else _NO_CONVERSION
    return _NO_UTF8_MAIL if name == "SMTPUTF8" else _unknown(name)


def _unknown(name: str) -> Reply:
    return Reply(555, f"The next hop does not support the parameter {name[:40]}", "5.5.4")  # RFC 5321, 4.1.1.11


def _command(verb: str, address: str, parameters: Iterable[str]) -> bytes:
    return " ".join((f"{verb}:<{address}>", *parameters)).encode("utf-8", "surrogateescape") + b"\r\n"
