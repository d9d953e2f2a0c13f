"""Listening sockets: what is opened, what systemd hands over, and what is said when it does not work."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.app.sockets import SocketError, inherited, open_sockets, where
from filterd.frontends.settings import Address, parse_address


def test_a_unix_socket_of_a_dead_process_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "s"))
    (dead,) = open_sockets(address, {})
    dead.close()
    (live,) = open_sockets(address, {})
    with live, pytest.raises(SocketError, match="another program has it"):
        open_sockets(address, {})
    assert stat.S_IMODE(os.stat(address.path).st_mode) == 0o660


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(SocketError, match="not a socket"):
        open_sockets(Address(path=str(tmp_path / "s")), {})
    assert (tmp_path / "s").read_text() == "precious"


def test_systemd_hands_sockets_over_by_name_and_by_address() -> None:
    code = (
        "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.dup2(int(sys.argv[1]), 3);"
        "from filterd.app.sockets import *; from filterd.frontends.settings import parse_address;"
        "handed = inherited(); named, = open_sockets(parse_address('fd:smtp'), handed);"
        "same, = open_sockets(where(named), handed); print(where(named), same.getsockname()[1])"
    )
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", code, str(opened.fileno())],
            pass_fds=(opened.fileno(),),
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"},
            capture_output=True,
            text=True,
        )
    assert done.stdout == f"127.0.0.1:{port} {port}\n", done.stderr


def test_sockets_for_another_process_are_not_ours() -> None:
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == {}


def test_a_name_that_systemd_does_not_know_is_said() -> None:
    with pytest.raises(SocketError, match="no socket of that name"):
        open_sockets(parse_address("fd:smtp"), {})


def test_every_address_of_the_machine() -> None:
    opened = open_sockets(parse_address(":0"), {})
    try:
        port = where(opened[0]).port
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    finally:
        for one in opened:
            one.close()
