"""The relay leg against Postfix itself: its sink for SMTP and LMTP, its smtpd for XFORWARD and XCLIENT."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.mail.envelope import Origin, Recipient, Source
from filterd.relay import Handover, RelaySettings, deliver, next_hop
from filterd.reply import Reply
from tests.peers import require

pytestmark = pytest.mark.peer("postfix")

BODY = b"Subject: hi\r\n\r\n.\r\n..\r\n.x\r\n" + b"\xff" * 2000 + b"\r\nno end"
ANN, BOB, NO = Recipient("ann@b.example"), Recipient("bob@b.example"), Recipient("refused@b.example")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail(f"nobody listens on port {port}")


@contextlib.contextmanager
def sink(*options: str, cwd: Path) -> Iterator[int]:
    """smtp-sink, which writes each mail to a file of its own in `cwd`."""
    program, port = require("smtp-sink", package="postfix"), free_port()
    user = ("-u", "nobody") if os.getuid() == 0 else ()
    cwd.chmod(0o777)
    command = [str(program), *user, *options, "-d", "mail.", f"127.0.0.1:{port}", "100"]
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield port
        finally:
            process.kill()


async def send(
    url: str,
    count: int,
    body: bytes,
    handover: Handover,
    recipients: tuple[Recipient, ...] = (ANN, BOB),
    xclient: bool = False,
) -> list[str]:
    hop = next_hop(url, RelaySettings(xclient=xclient))
    replies: list[Reply] = []
    for number in range(count):
        transaction = hop.transaction(handover)
        sender = f"s{number}@a.example"
        replies += await deliver(transaction, sender, ("BODY=8BITMIME",), recipients, [body])
        await transaction.close()
    await hop.aclose()
    return [str(reply) for reply in replies]


@pytest.mark.parametrize(("scheme", "options"), [("smtp", ()), ("smtp", ("-p",)), ("lmtp", ("-L",))])
def test_smtp_sink(scheme: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """With PIPELINING, without, and in LMTP."""
    with sink(*options, cwd=tmp_path) as port:
        client = Handover(client=Origin(address="192.0.2.1", helo="client.example", source=Source.PEER))
        replies = asyncio.run(send(f"{scheme}://127.0.0.1:{port}", 5, BODY, client))
    assert [reply[:3] for reply in replies] == ["250"] * 10
    stored = [file.read_bytes() for file in tmp_path.glob("mail.*")]
    assert len(stored) == 5
    wanted = BODY.replace(b"\r\n", b"\n") + b"\n"
    assert all(wanted in mail for mail in stored)


MAIN = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = /
alias_maps =
alias_database =
mydestination =
myhostname = hop.example
mynetworks = 127.0.0.0/8
relay_domains = b.example
transport_maps = static:discard:
inet_interfaces = 127.0.0.1
smtpd_authorized_xforward_hosts = 127.0.0.1
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{ refused@b.example=REJECT }}, permit
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[tuple[int, Path]]:
    """A Postfix with a folder of its own, which discards what it accepts; its port and its log."""
    program = require("postfix", package="postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix starts as root only")
    config, log, port = folder / "etc", folder / "log", free_port()
    for name in (config, folder / "queue", folder / "data"):
        name.mkdir(parents=True)
    folder.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    main = MAIN.format(queue=folder / "queue", data=folder / "data", log=log)
    (config / "main.cf").write_text(main)
    (config / "master.cf").write_text(MASTER.format(port=port))
    command = [str(program), "-c", str(config)]
    subprocess.run([*command, "start"], check=True, capture_output=True, timeout=30)
    try:
        wait_for_port(port)
        yield port, log
    finally:
        subprocess.run([*command, "stop"], check=True, capture_output=True, timeout=30)


def test_postfix_is_told_who_the_client_is() -> None:
    folder = Path(tempfile.mkdtemp(prefix="filterd-"))  # pytest's own are closed to Postfix's user
    origin = Origin(address="192.0.2.77", name="client.example", helo="helo.example", source=Source.PEER)
    handover = Handover(client=origin, protocol="ESMTPS", port=4711, queue_id="4XYZ")
    try:
        with postfix(folder) as (port, log):
            url = f"smtp://127.0.0.1:{port}"
            forwarded = asyncio.run(send(url, 2, BODY, handover))
            impersonated = asyncio.run(send(url, 2, BODY, handover, xclient=True))
            unknown = asyncio.run(send(url, 1, BODY, Handover(client=Origin())))
            refused = asyncio.run(send(url, 1, BODY, handover, recipients=(ANN, NO, Recipient("x@other.example"))))
            text = log.read_text()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert [reply[:9] for reply in (*forwarded, *impersonated, *unknown)] == ["250 2.0.0"] * 10
    assert [reply[:9] for reply in refused] == ["250 2.0.0", "554 5.7.1", "554 5.7.1"]
    assert len(re.findall(r"client=localhost\[127.0.0.1\], orig_queue_id=4XYZ, orig_client=client.example"
                          r"\[192.0.2.77\]", text)) == 3  # fmt: skip
    assert len(re.findall(r": client=client.example\[192.0.2.77\]", text)) == 2
    assert "XFORWARD" not in text  # nothing of what we said was refused
