"""What no single setting can know: settings that contradict each other, or the machine.

In: a Config that is valid key by key. Out: (key, sentence) for each contradiction. Reads certificate files,
asks no network.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TypeVar

from filterd.config.model import Config
from filterd.config.policies import Contradiction, policy_contradictions
from filterd.frontends.settings import (
    LOOPBACK,
    Address,
    Listener,
    RelayingListener,
    SmtpListener,
    SubmissionListener,
    TlsUse,
    WebListener,
)
from filterd.relay import HopAddress, HopProtocol, TlsMode, parse_url
from filterd.yamlfile import Key

L = TypeVar("L", bound=Listener)


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Everything that does not fit together."""
    yield from _relay_addresses(config)
    yield from _passwords(config)
    yield from _open_relay(config)
    yield from _listens_twice(config)
    yield from _certificate(config)
    yield from _bare_web(config)
    yield from _report_addresses(config)
    yield from policy_contradictions(config)


def listeners(config: Config, kind: type[L]) -> Iterator[tuple[int, L]]:
    """The listeners of one kind, with their positions in the configuration."""
    for position, listener in enumerate(config.listeners):
        if isinstance(listener, kind):
            yield position, listener


def _relay_addresses(config: Config) -> Iterator[Contradiction]:
    """Every relay address can be read, and none leads back to one of our own doors."""
    named: list[tuple[Key, tuple[str, ...]]] = [
        (("listeners", position, "relay"), listener.relay) for position, listener in listeners(config, RelayingListener)
    ]
    if config.release.relay is not None:
        named.append((("release", "relay"), config.release.relay))
    doors = [address for listener in config.listeners for address in listener.listen]
    for key, url in ((key, url) for key, urls in named for url in urls):
        try:
            hop = parse_url(url)
        except ValueError as error:
            yield key, str(error)
            continue
        if door := next((door for door in doors if _leads_to(hop, door)), None):
            yield key, f"the relay {url} is our own listener {door}: mail would go round in circles"


def _leads_to(hop: HopAddress, door: Address) -> bool:
    if hop.path or door.path:
        return bool(hop.path) and hop.path == door.path
    if hop.port != door.port:
        return False
    everywhere = door.host in ("", "0.0.0.0", "::")
    return (everywhere and Address(hop.host).loopback) or _plain(hop.host) == _plain(door.host)


def _passwords(config: Config) -> Iterator[Contradiction]:
    """Passwords come and go under TLS, or do not leave this machine."""
    safe = config.relay.tls in (TlsMode.REQUIRED, TlsMode.VERIFY)
    for position, listener in listeners(config, SubmissionListener):
        for url in listener.relay:
            try:
                hop = parse_url(url)
            except ValueError:
                continue  # said elsewhere
            key = ("listeners", position, "relay")
            if hop.protocol is not HopProtocol.SMTP:
                yield key, f"{url} cannot check passwords: a submission listener needs smtp://host:port"
            elif not (safe or hop.tls or listener.insecure_relay or Address(hop.host).loopback):
                yield key, f"passwords would go to {url} without TLS: set relay.tls to required or verify"


def _plain(host: str) -> str:
    return "127.0.0.1" if host.lower() == "localhost" else host.lower()


def _open_relay(config: Config) -> Iterator[Contradiction]:
    for position, listener in listeners(config, SmtpListener):
        everyone = next((network for network in listener.trusted if network.prefixlen == 0), None)
        if everyone and not all(address.loopback for address in listener.listen):
            text = f"{everyone} trusts the whole Internet: that is an open relay"
            yield ("listeners", position, "trusted"), text
        elif not config.domains and _strangers_reach(listener):
            text = "domains is empty, and untrusted peers can reach this smtp listener: that is an open relay"
            yield ("listeners", position), text


def _strangers_reach(listener: SmtpListener) -> bool:
    """Can a peer that is not trusted connect? Only a loopback listener that trusts loopback says no."""
    trusts_loopback = all(any(own == given for given in listener.trusted) for own in LOOPBACK[:1])
    return not (trusts_loopback and all(address.loopback for address in listener.listen))


def _listens_twice(config: Config) -> Iterator[Contradiction]:
    first: dict[tuple[str, Address], int] = {}
    for position, listener in enumerate(config.listeners):
        for address in listener.listen:
            free = not (address.path or address.name or address.port)  # port 0: any that is free
            key = (listener.protocol if free else "", address)
            if key in first:
                yield ("listeners", position, "listen"), f"{address} is already taken by listeners[{first[key]}]"
            first.setdefault(key, position)


def _certificate(config: Config) -> Iterator[Contradiction]:
    certificate, key = config.tls.certificate, config.tls.key
    if certificate is None and key is None:
        for position, listener in listeners(config, RelayingListener):
            if _needs_certificate(listener):
                yield ("listeners", position), "this listener needs TLS: set tls.certificate and tls.key"
        return
    if certificate is None or key is None:
        there, missing = ("certificate", "key") if key is None else ("key", "certificate")
        yield ("tls", there), f"tls.{there} is set and tls.{missing} is not"
        return
    for name, path in (("certificate", certificate), ("key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            yield ("tls", name), f"tls.{name}: {path} cannot be read: {error.strerror}"
            return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or "not a certificate and its key in PEM form"
        yield ("tls", "certificate"), f"tls: {certificate} and {key} do not work together: {why}"


def _needs_certificate(listener: RelayingListener) -> bool:
    required = isinstance(listener, SmtpListener | SubmissionListener) and listener.require_tls
    return required or listener.tls is TlsUse.IMPLICIT


def _report_addresses(config: Config) -> Iterator[Contradiction]:
    """A report address is one of ours: elsewhere mail to it would only pass us by chance."""
    for address in config.learn.addresses:
        domain = address.rpartition("@")[2]
        if config.domains and domain not in config.domains:
            yield ("learn", "addresses"), f"{address} is not in one of our domains"


def _bare_web(config: Config) -> Iterator[Contradiction]:
    for position, listener in listeners(config, WebListener):
        beyond = next((address for address in listener.listen if not address.loopback and not address.name), None)
        if beyond and not (listener.insecure or config.tls.certificate):
            yield (
                ("listeners", position, "listen"),
                f"{beyond} is beyond loopback without TLS: set tls.certificate, or insecure: true behind a proxy",
            )
