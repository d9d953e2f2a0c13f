"""Login: AUTH (RFC 4954) between a client and the next hop, passed on as it comes.

The next hop decides; what is learnt here is the name of the user, from the client's first response. No response is
kept, and none appears in a log or an error. A mechanism whose name we could not read, that binds to a TLS channel
(`-PLUS`) or that encrypts what follows (GSSAPI, DIGEST-MD5) cannot be passed on and is not offered.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from filterd.frontends.smtp import replies
from filterd.relay.answer import Answer
from filterd.relay.own import OwnHop
from filterd.reply import Reply

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CANCEL = b"*"
_EMPTY = b"="  # an initial response of no octets (RFC 4954 section 4)
_LONGEST_NAME = 255


def _plain(response: bytes) -> bytes:
    """RFC 4616: authzid NUL authcid NUL password."""
    identity, name, _ = response.split(b"\0", 2)
    return identity or name


def _login(response: bytes) -> bytes:
    """The user name, and nothing else (draft-murchison-sasl-login)."""
    return response.removesuffix(b"\0")


def _cram_md5(response: bytes) -> bytes:
    """RFC 2195: name SP digest."""
    return response.rsplit(b" ", 1)[0]


def _scram(response: bytes) -> bytes:
    """RFC 5802 section 7: gs2-header (`n,a=identity,`), then `n=name,r=...`."""
    _, identity, name, _ = response.split(b",", 3)
    chosen = identity.removeprefix(b"a=") or name.removeprefix(b"n=")
    return chosen.replace(b"=2C", b",").replace(b"=3D", b"=")


def _xoauth2(response: bytes) -> bytes:
    """`user=` name ^A `auth=Bearer ...` (Google's XOAUTH2)."""
    return response.split(b"\1", 1)[0].removeprefix(b"user=")


def _oauthbearer(response: bytes) -> bytes:
    """RFC 7628 section 3.1: gs2-header, ^A, key-value pairs."""
    return response.split(b"\1", 1)[0].split(b",", 2)[1].removeprefix(b"a=").replace(b"=2C", b",").replace(b"=3D", b"=")


_NAMES: dict[str, Callable[[bytes], bytes]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "SCRAM-SHA-1": _scram,
    "SCRAM-SHA-256": _scram,
    "SCRAM-SHA-512": _scram,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
}


def offered(announced: str) -> str:
    """Of the mechanisms that the next hop announces, those that can be passed on."""
    return " ".join(name for name in announced.upper().split() if name in _NAMES)


def name_in(mechanism: str, response: bytes) -> str | None:
    """The user that the client's first response names, printable; None when it cannot be read."""
    try:
        name = _NAMES[mechanism](response)[:_LONGEST_NAME].decode("utf-8", "replace")
    except (IndexError, ValueError):
        return None
    return "".join(sign if sign.isprintable() else "?" for sign in name) or None


class Login:
    """One AUTH command and the exchange after it."""

    def __init__(self, mechanism: str, hop: OwnHop) -> None:
        self.mechanism = mechanism
        self.user: str | None = None  # whom the client claims to be; true when the reply was 235
        self._hop = hop

    async def begin(self, initial: bytes | None) -> Reply:
        """`initial`: the initial response in base64, where there is one."""
        command = b"AUTH " + self.mechanism.encode()
        if initial is None:
            return self._heard(await self._hop.say(command))
        refusal = self._understand(b"" if initial == _EMPTY else initial)
        return refusal or self._heard(await self._hop.say(command + b" " + initial))

    async def respond(self, line: bytes | Reply) -> Reply:
        """The client's answer to a 334; a Reply refuses the line as such."""
        if isinstance(line, Reply):
            return await self._cancel(replies.LOGIN_LINE_TOO_LONG if line == replies.LINE_TOO_LONG else line)
        refusal = None if line == _CANCEL else self._understand(line)
        return self._heard(await self._hop.say(line)) if refusal is None else await self._cancel(refusal)

    async def _cancel(self, refusal: Reply) -> Reply:
        """The next hop is told that the exchange is over, the client why."""
        await self._hop.say(_CANCEL)
        return refusal

    def _understand(self, response: bytes) -> Reply | None:
        """Why this response is not passed on; the first one names the user."""
        if not _BASE64.fullmatch(response):
            return replies.BAD_BASE64
        if self.user is None:
            try:
                self.user = name_in(self.mechanism, base64.b64decode(response))
            except binascii.Error:
                return replies.BAD_BASE64
            if self.user is None:
                return replies.BAD_RESPONSE
        return None

    def _heard(self, answer: Answer | None) -> Reply:
        """The next hop's answer, where it is one to AUTH."""
        if answer is None:
            return replies.NO_LOGIN_NOW
        if answer.code == 334:
            return Reply(334, answer.lines[0])
        if answer.code == 235 or 400 <= answer.code < 600:
            return answer.reply() if answer.code == 421 else replies.with_status(answer.reply())
        return replies.NO_LOGIN_NOW
