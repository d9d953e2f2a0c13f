"""Listening sockets: opened by us, or handed over by systemd (socket activation: a low port without root).

In: an Address. Out: bound, listening, non-blocking sockets. Fails with SocketError, one sentence that says
what to do about it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping

from filterd.frontends.settings import Address
from filterd.told import Told

BACKLOG = 1024
_EVERYWHERE = ("", "0.0.0.0", "::")
_FIRST_INHERITED = 3  # sd_listen_fds(3)


class SocketError(Told):
    """A door cannot be opened; the text is one sentence."""


def inherited(environment: Mapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """The sockets that systemd opened for us, by name; empty when it did not."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for position in range(count):
        opened = socket.socket(fileno=_FIRST_INHERITED + position)
        opened.setblocking(False)
        os.set_inheritable(opened.fileno(), False)
        name = names[position] if position < len(names) else "unknown"
        found.setdefault(name, []).append(opened)
    return found


def open_sockets(address: Address, handed: Mapping[str, list[socket.socket]]) -> list[socket.socket]:
    """The listening sockets of an address, systemd's own where it has one there. Raises SocketError."""
    if address.name:
        if address.name not in handed:
            raise SocketError(f"{address}: systemd handed over no socket of that name (FileDescriptorName=)")
        return [one.dup() for one in handed[address.name]]
    already = [one for opened in handed.values() for one in opened if _is_on(one, address)]
    if already:
        return [one.dup() for one in already]
    try:
        return [_open_unix(address.path)] if address.path else _open_network(address)
    except OSError as error:
        raise SocketError(f"cannot listen on {address}: {_advice(error)}") from error


def where(opened: socket.socket) -> Address:
    """The address that a socket is bound to: the real port where 0 was asked for."""
    name = opened.getsockname()
    return Address(path=str(name)) if opened.family == socket.AF_UNIX else Address(host=name[0], port=name[1])


def _is_on(opened: socket.socket, address: Address) -> bool:
    here = where(opened)
    if here.host in _EVERYWHERE and address.host in _EVERYWHERE and address.port:
        return here.port == address.port
    return bool(address.path or address.port) and here == address


def _open_network(address: Address) -> list[socket.socket]:
    if not address.host:
        if socket.has_dualstack_ipv6():
            return [_listening(socket.create_server(
                ("::", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            ))]  # fmt: skip
        return [_listening(socket.create_server(("0.0.0.0", address.port), backlog=BACKLOG))]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [
        _listening(socket.create_server(place[:2], family=family, backlog=BACKLOG))
        for family, place in dict.fromkeys((family, place) for family, *_, place in found)
    ]


def _open_unix(path: str) -> socket.socket:
    """A Unix socket; one that nobody answers any more is replaced, anything else in its place is not."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            _remove_stale(path)
        opened.bind(path)
        os.chmod(path, 0o660)
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return _listening(opened)


def _remove_stale(path: str) -> None:
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise OSError(errno.EEXIST, "something that is not a socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _listening(opened: socket.socket) -> socket.socket:
    opened.setblocking(False)
    return opened


def _advice(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "not allowed; use socket activation, or give the capability CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRINUSE:
        return "another program has it"
    return error.strerror or str(error)
