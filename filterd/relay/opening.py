"""From an address to a greeted connection: socket, banner, EHLO or LHLO, STARTTLS.

Out: a `Connection` that is ready for MAIL, its capabilities known; or `ConnectFailed`, whose text goes on
after "the next hop ..." and is meant for the postmaster.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
from ipaddress import ip_address

from filterd.relay.address import HopAddress, HopProtocol
from filterd.relay.answer import Answer
from filterd.relay.connection import Connection
from filterd.relay.handover import xclient_commands
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.settings import RelaySettings, TlsMode

_LEAST = 2.0  # seconds that one of many addresses is given at least


class ConnectFailed(Exception):
    """No usable connection came of it; the text says why."""


class TlsFailed(ConnectFailed):
    """STARTTLS was begun and did not work; the connection is lost, another one without TLS may work."""


class Busy(ConnectFailed):
    """It has as many connections as it may have, and none became free in time."""


def tls_context(address: HopAddress, settings: RelaySettings) -> ssl.SSLContext | None:
    """The TLS settings of a next hop; None when it is off. Raises OSError when the CA file cannot be read."""
    if settings.tls is TlsMode.OFF and not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except OSError as error:
        raise OSError(f"relay.ca {settings.ca} cannot be read: {error.strerror or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls is not TlsMode.VERIFY or settings.fingerprints:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def connect(
    address: HopAddress, settings: RelaySettings, context: ssl.SSLContext | None, prefer: str = ""
) -> Connection:
    """Open, greet and, as the settings say, begin TLS; raises ConnectFailed.

    Of a name with several addresses the first that serves, and `prefer` before the others. Each has its share
    of the time.
    """
    places = await _places(address, settings)
    places.sort(key=lambda place: place.host != prefer)
    patience = max(settings.connect_timeout / len(places), min(settings.connect_timeout, _LEAST))
    for place in places[:-1]:
        with contextlib.suppress(ConnectFailed):
            return await _at(place, address, settings, context, patience)
    return await _at(places[-1], address, settings, context, patience)


async def begin_xclient(
    connection: Connection, address: HopAddress, settings: RelaySettings, handover: Handover
) -> None:
    """Make the session the client's (XCLIENT), then greet again; raises ConnectFailed."""
    announced = connection.capabilities.keywords.get("XCLIENT")
    if announced is None:
        raise ConnectFailed("does not announce XCLIENT, though `xclient` is set")
    for command in xclient_commands(handover, announced):
        await _expect(connection, command, 220, settings.command_timeout)
    await _hello(connection, address, settings)


async def _places(address: HopAddress, settings: RelaySettings) -> list[HopAddress]:
    """The address, once for each IP address that its name has; raises ConnectFailed."""
    if address.path or _is_ip(address.host):
        return [address]
    looking = asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            found = await looking
    except TimeoutError as error:
        raise ConnectFailed(f"was not found in the DNS within {settings.connect_timeout:g} seconds") from error
    except OSError as error:
        raise ConnectFailed(f"cannot be reached: {_said(error)}") from error
    hosts = dict.fromkeys(str(place[0]) for *_, place in found)
    return [HopAddress(address.protocol, host, address.port, tls=address.tls) for host in hosts]


async def _at(
    place: HopAddress, address: HopAddress, settings: RelaySettings, context: ssl.SSLContext | None, patience: float
) -> Connection:
    """One of the places; without TLS when that is opportunistic and did not work."""
    try:
        return await _within(place, address, settings, context, patience)
    except TlsFailed:
        if settings.tls is not TlsMode.OPPORTUNISTIC:
            raise
        return await _within(place, address, settings, None, patience)


async def _within(
    place: HopAddress, address: HopAddress, settings: RelaySettings, context: ssl.SSLContext | None, patience: float
) -> Connection:
    """One attempt, in the time that it is given."""
    try:
        async with asyncio.timeout(patience):
            connection = await _open(place, address, settings, context)
            connection.place = place.host
            try:
                await _greet(connection, address, settings, context)
            except BaseException:
                connection.fail("was not greeted")
                raise
            return connection
    except TimeoutError as error:
        raise ConnectFailed(f"was not ready within {patience:g} seconds") from error
    except OSError as error:
        raise ConnectFailed(f"cannot be reached: {_said(error)}") from error


async def _open(
    place: HopAddress, address: HopAddress, settings: RelaySettings, context: ssl.SSLContext | None
) -> Connection:
    loop = asyncio.get_running_loop()
    if place.path:
        return (await loop.create_unix_connection(Connection, place.path))[1]
    local = (settings.source_address, 0) if settings.source_address else None
    if not place.tls:
        return (await loop.create_connection(Connection, place.host, place.port, local_addr=local))[1]
    opening = loop.create_connection(
        Connection, place.host, place.port, ssl=context, server_hostname=address.host, local_addr=local
    )
    return (await opening)[1]


async def _greet(
    connection: Connection, address: HopAddress, settings: RelaySettings, context: ssl.SSLContext | None
) -> None:
    await _expect(connection, None, 220, settings.command_timeout)
    await _hello(connection, address, settings)
    if context is None or address.path:  # nobody listens on a Unix socket
        return
    if address.tls:
        return _check_fingerprint(connection, settings)
    if not connection.capabilities.has("STARTTLS"):
        if settings.tls is not TlsMode.OPPORTUNISTIC:
            raise ConnectFailed(f"does not announce STARTTLS, and `tls` is {settings.tls}")
        return
    await _start_tls(connection, address, settings, context)
    _check_fingerprint(connection, settings)
    await _hello(connection, address, settings)  # RFC 3207 section 4.2: what was announced before is void


def _check_fingerprint(connection: Connection, settings: RelaySettings) -> None:
    """Raises ConnectFailed when another certificate than a known one was shown."""
    if not settings.fingerprints:
        return
    shown = hashlib.sha256(connection.certificate).hexdigest()
    if shown not in settings.fingerprints:
        raise ConnectFailed(f"shows a certificate that is not in relay.fingerprints: {shown}")


async def _start_tls(
    connection: Connection, address: HopAddress, settings: RelaySettings, context: ssl.SSLContext
) -> None:
    try:
        await _expect(connection, b"STARTTLS\r\n", 220, settings.command_timeout)
        await connection.start_tls(context, address.host)
    except ConnectFailed as error:
        raise TlsFailed(str(error)) from error
    except TimeoutError:
        raise
    except OSError as error:
        raise TlsFailed(f"could not begin TLS: {_said(error)}") from error


async def _hello(connection: Connection, address: HopAddress, settings: RelaySettings) -> None:
    """EHLO, and HELO for those who do not know it (RFC 5321 section 3.2); LHLO (RFC 2033 section 4.1)."""
    verb = "LHLO" if address.protocol is HopProtocol.LMTP else "EHLO"
    answer = await _ask(connection, f"{verb} {settings.hostname}\r\n".encode(), settings.command_timeout)
    if answer.code >= 500 and verb == "EHLO":
        await _expect(connection, f"HELO {settings.hostname}\r\n".encode(), 250, settings.command_timeout)
        connection.capabilities = Capabilities()
    elif answer.code == 250:
        connection.capabilities = _capabilities(answer)
    else:
        raise ConnectFailed(f"answered {verb} with {answer.reply()}")


def _capabilities(answer: Answer) -> Capabilities:
    keywords: dict[str, str] = {}
    for line in answer.lines[1:]:
        keyword, _, value = line.strip().partition(" ")
        if keyword:
            keywords.setdefault(keyword.upper(), value.strip())
    return Capabilities(keywords)


async def _expect(connection: Connection, command: bytes | None, code: int, patience: float) -> Answer:
    answer = await _ask(connection, command, patience)
    if answer.code != code:
        raise ConnectFailed(f"answered {_verb(command)} with {answer.reply()}")
    return answer


async def _ask(connection: Connection, command: bytes | None, patience: float) -> Answer:
    """The answer to a command, or the banner; raises ConnectFailed when there is none."""
    answers = await (connection.answers(1, patience) if command is None else connection.exchange([command], patience))
    if not answers:
        raise ConnectFailed(f"{connection.failure} (at {_verb(command)})")
    return answers[0]


def _verb(command: bytes | None) -> str:
    return "the connection" if command is None else command.split()[0].decode("ascii")


def _is_ip(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _said(error: OSError) -> str:
    """What the system says, without asyncio's wrapping."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError) or not error.errno or error.errno < 0:
        return str(error)
    return os.strerror(error.errno)
