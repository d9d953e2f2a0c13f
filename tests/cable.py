"""A wire to a server on loopback that breaks when BREAK passes through it, as if the server had died just then.

with Cable() as cable:
    cable.to(port)                             # the port to connect to instead of that one
    cable.mend()                               # from now on everything passes
cable.breaks                                   # how often it broke
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

BREAK = b"the wire breaks here"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a TCP reset instead of a farewell


class Cable:
    def __init__(self) -> None:
        self.breaks = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._target = 0
        self._whole = False

    def to(self, port: int) -> int:
        self._target = port
        return int(self._server.getsockname()[1])

    def mend(self) -> None:
        self._whole = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target), 10) as far:
            far.settimeout(None)
            back = threading.Thread(target=_carry, args=(far, near), daemon=True)
            back.start()
            self._carry_out(near, far)
            back.join()

    def _carry_out(self, near: socket.socket, far: socket.socket) -> None:
        """Up to BREAK, wherever the pieces are cut."""
        passed = b""
        while data := near.recv(1 << 16):
            passed = passed[-len(BREAK) :] + data
            if BREAK in passed and not self._whole:
                far.sendall(data[: len(data) // 2])
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RD)
                self.breaks += 1
                return
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
