"""Site: what the pages stand on, made once by the process that serves them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from filterd.frontends.web.attempts import Attempts
from filterd.frontends.web.directory import Directory
from filterd.frontends.web.settings import WebSettings
from filterd.learning import Request, Result
from filterd.record import Record
from filterd.store import Store
from filterd.value import Value

Learn = Callable[[Request], Result]  # blocks; raises LearningError
Send = Callable[["Letter"], None]  # sees to it that the letter goes; returns at once


class Letter(Value):
    """A mail of ours that is ready to go."""

    recipient: str
    content: bytes
    items: int = 0  # that it tells of


@dataclass(frozen=True)
class Site:
    """`secret` signs; `secure` says that people come by TLS; without `learn` nobody is offered to teach."""

    store: Store
    secret: bytes
    settings: WebSettings = WebSettings()
    hostname: str = "localhost"
    secure: bool = False
    learn: Learn | None = None
    shared: frozenset[str] = frozenset()  # domains where strangers have addresses beside each other
    remembered: Callable[[Record], list[str]] | None = None  # sentences about who sent a message
    status: Callable[[], dict[str, Any] | None] | None = None  # what `filterd status` knows; blocks
    sender: str = "postmaster@localhost"  # of our own mail
    send: Send | None = None
    attempts: Attempts = field(default_factory=Attempts)
    asked: Attempts = field(default_factory=Attempts)  # for links

    @cached_property
    def directory(self) -> Directory | None:
        return Directory(self.settings.ldap) if self.settings.ldap else None

    @property
    def mails_links(self) -> bool:
        """Is whoever gives their address mailed a link?"""
        return self.send is not None and self.settings.login_links and self.settings.url is not None

    @property
    def cookie(self) -> str:
        """The session cookie's name; with TLS a browser takes it from nobody else (RFC 6265bis, 4.1.3.2)."""
        return "__Host-filterd" if self.secure else "filterd"

    def sign(self, purpose: str, text: str) -> str:
        """128 bits that only this site can make."""
        return hmac.new(self.secret, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()[:32]

    def signed(self, purpose: str, text: str, mark: str) -> bool:
        return hmac.compare_digest(self.sign(purpose, text).encode(), mark.encode("utf-8", "replace"))
