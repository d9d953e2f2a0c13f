"""Client: whom the mail server speaks with, as its connect, HELO and macros tell. Missing macros are not known.

The mail server is believed in all of it. A client without an address, on a Unix socket or on the machine's own
loopback, has an unknown origin: the machine's own address says nothing about who wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from filterd.frontends.milter.wire import Command, Connect, Stage
from filterd.frontends.smtp.settings import Site
from filterd.mail.envelope import Direction, Origin, Source

_CONNECT = "client_resolve"  # Sendmail: OK, FAIL, FORGED or TEMP
_TLS = "tls_version cipher"
_USER = "auth_authen"
_QUEUE_ID = "i"
WANTED = {
    Stage.CONNECT: "{client_resolve}",
    Stage.HELO: "{tls_version} {cipher}",
    Stage.MAIL: "i {auth_authen} {tls_version} {cipher}",
    Stage.RCPT: "i",
    Stage.DATA: "i",
    Stage.END_OF_HEADER: "i",
    Stage.END: "i",
}
_KEPT = frozenset((*_TLS.split(), _CONNECT, _USER, _QUEUE_ID))
_OF_SESSION = frozenset((Command.CONNECT, Command.HELO))


class Client:
    """One client, and what is known about its session and its open mail."""

    def __init__(self, connect: Connect | None = None) -> None:
        """`connect`: None until the mail server says who it is."""
        self.address = connect.address if connect else None
        self.helo = ""
        self._name = connect.name if connect else ""
        self._ourselves = self.address is not None and ip_address(self.address).is_loopback
        self._session: dict[str, str] = {}
        self._mail: dict[str, str] = {}

    def arrived(self, connect: Connect) -> Client:
        """The client that `connect` tells about, with the macros that came before it."""
        client = Client(connect)
        client._session = self._session
        return client

    def learn(self, command: int, macros: Mapping[str, str]) -> None:
        """Macros that go with a command."""
        known = self._session if command in _OF_SESSION else self._mail
        known.update((name, value) for name, value in macros.items() if name in _KEPT and value)

    def end_mail(self) -> None:
        self._mail.clear()

    @property
    def origin(self) -> Origin:
        """The host that the mail comes from; with no source when it is this machine."""
        if self._ourselves:
            return Origin()
        return Origin(self.address, self._verified_name, self.helo or None, Source.MILTER)

    @property
    def user(self) -> str | None:
        return self._macro(_USER)

    @property
    def queue_id(self) -> str | None:
        return self._macro(_QUEUE_ID)

    @property
    def tls(self) -> str | None:
        """Protocol and cipher."""
        return " ".join(filter(None, map(self._macro, _TLS.split()))) or None

    def direction(self, site: Site, domains: Iterable[str]) -> Direction:
        """`domains`: of the recipients, in lower case."""
        return site.direction(domains, from_us=bool(self.user) or site.internal.hold(self.address))

    @property
    def _verified_name(self) -> str | None:
        """The reverse name, when there is an address and the mail server verified the name."""
        name = self._name
        verified = self.address is not None and self._macro(_CONNECT) in (None, "OK")
        return name if verified and name not in ("", "unknown") and not name.startswith("[") else None

    def _macro(self, name: str) -> str | None:
        return self._mail.get(name) or self._session.get(name)
