"""Delivery into a Maildir: synced before it is said, one file per recipient, nothing half-written."""

import asyncio
import errno
import mailbox
import os
import stat
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.mail.envelope import Origin, Recipient
from filterd.relay import Handover, RelaySettings, deliver, next_hop
from filterd.reply import Reply

BODY = b"Subject: hi\r\n\r\n.\r\nhello\r\n"
ANN, BOB = Recipient("ann@b.example"), Recipient("bob@b.example")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


async def send(path: Path, *recipients: Recipient, body: bytes = BODY, sender: str = "s@a.example") -> list[str]:
    hop = next_hop(f"maildir:{path}", RelaySettings())
    transaction = hop.transaction(Handover(client=Origin()))
    chunks: list[bytes | memoryview] = [body[:9], memoryview(body)[9:]]
    replies = await deliver(transaction, sender, (), recipients or (ANN,), iter(chunks))
    await transaction.close()
    await hop.aclose()
    return [str(reply) for reply in replies]


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def test_a_copy_for_each_recipient(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mail"
    run_result: list[str] = []

    async def test() -> None:
        run_result.extend(await send(path, ANN, Recipient("bad\naddress"), BOB))

    run(test())
    assert run_result == [
        "250 2.0.0 Delivered",
        "501 5.1.3 Bad recipient address syntax",
        "250 2.0.0 Delivered",
    ]
    copies = sorted((path / "new").iterdir(), key=lambda file: file.read_bytes())
    assert [copy.read_bytes() for copy in copies] == [
        b"Return-Path: <s@a.example>\nDelivered-To: %s@b.example\nSubject: hi\n\n.\nhello\n" % name
        for name in (b"ann", b"bob")
    ]
    assert files(path) == sorted(f"new/{copy.name}" for copy in copies)
    for folder in (path, *(path / name for name in ("cur", "new", "tmp"))):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(copies[0].stat().st_mode) == 0o600
    assert sorted(str(message["Delivered-To"]) for message in mailbox.Maildir(path)) == [
        "ann@b.example", "bob@b.example"]  # fmt: skip


def test_many_mails_at_once_have_names_of_their_own(tmp_path: Path) -> None:
    async def test() -> None:
        await asyncio.gather(*(send(tmp_path / "m") for _ in range(50)))
        assert len(os.listdir(tmp_path / "m" / "new")) == 50

    run(test())


def test_null_sender_final_newline_and_utf8(tmp_path: Path) -> None:
    async def test() -> None:
        await send(tmp_path / "m", Recipient("ü@b"), body=b"a: b\r\n\r\nno end", sender="")

    run(test())
    [copy] = (tmp_path / "m" / "new").iterdir()
    assert copy.read_bytes() == "Return-Path: <>\nDelivered-To: ü@b\na: b\n\nno end\n".encode()


def test_a_bare_newline_is_not_stored(tmp_path: Path) -> None:
    async def test() -> None:
        assert await send(tmp_path / "m", body=b"a\nb\r\n") == ["451 4.3.0 The message is not in wire form"]

    run(test())
    assert files(tmp_path / "m") == []


def failing(name: str, code: int, real: Callable[..., Any], calls: int = 1) -> Callable[..., Any]:
    left = [calls]

    def fail(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    fail.__name__ = name
    return fail


@pytest.mark.parametrize(
    ("function", "call", "code", "replies"),
    [
        ("fsync", 1, errno.ENOSPC, ["452 4.3.1", "250 2.0.0"]),  # the first file
        ("fsync", 2, errno.EDQUOT, ["250 2.0.0", "452 4.3.1"]),  # the second
        ("fsync", 3, errno.EIO, ["451 4.3.0", "451 4.3.0"]),  # the folder
        ("link", 1, errno.ENOSPC, ["452 4.3.1", "452 4.3.1"]),
        ("link", 2, errno.EIO, ["451 4.3.0", "451 4.3.0"]),
        ("link", 1, errno.EPERM, ["250 2.0.0", "250 2.0.0"]),  # no hard links here: renamed
    ],
)
def test_trouble_on_disk_is_temporary_and_leaves_nothing(
    function: str, call: int, code: int, replies: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        await send(tmp_path / "m")
        for file in (tmp_path / "m" / "new").iterdir():
            file.unlink()
        monkeypatch.setattr(os, function, failing(function, code, getattr(os, function), call))
        assert [reply[:9] for reply in await send(tmp_path / "m", ANN, BOB)] == replies

    run(test())
    assert os.listdir(tmp_path / "m" / "tmp") == []
    assert len(os.listdir(tmp_path / "m" / "new")) == sum(reply.startswith("250") for reply in replies)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_device_without_space(tmp_path: Path) -> None:
    """The kernel's own ENOSPC, by a tmp/ whose files all lie on /dev/full."""

    async def test(monkeypatch: pytest.MonkeyPatch) -> None:
        await send(tmp_path / "m")
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, flags, **more: real("/dev/full", os.O_WRONLY)
            if "/tmp/" in str(path).removeprefix(str(tmp_path)) else real(path, flags, **more),
        )  # fmt: skip
        assert await send(tmp_path / "m") == ["452 4.3.1 The mail store is full"]

    with pytest.MonkeyPatch.context() as monkeypatch:
        run(test(monkeypatch))
    assert os.listdir(tmp_path / "m" / "tmp") == []
    assert len(os.listdir(tmp_path / "m" / "new")) == 1


def test_a_place_where_no_maildir_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def test() -> None:
        assert await send(tmp_path / "file", ANN, BOB) == ["451 4.3.0 The mail store has trouble"] * 2
        hop = next_hop(f"maildir:{tmp_path}/file", RelaySettings())
        assert await hop.healthy() == f"The Maildir {tmp_path}/file cannot be used: File exists."
        assert await next_hop(f"maildir:{tmp_path}/good", RelaySettings()).healthy() is None

    run(test())


def test_cancelled_while_it_is_written_there_is_no_mail(tmp_path: Path) -> None:
    async def test() -> None:
        await send(tmp_path / "m")
        hop = next_hop(f"maildir:{tmp_path}/m", RelaySettings())
        transaction = hop.transaction(Handover(client=Origin()))
        await transaction.mail("s@a", ())
        await transaction.rcpt(ANN)
        delivering = asyncio.ensure_future(transaction.data([b"x" * 50_000_000 + b"\r\n"]))
        await asyncio.sleep(0)
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        await asyncio.get_running_loop().shutdown_default_executor()

    run(test())
    assert os.listdir(tmp_path / "m" / "tmp") == []
    assert len(os.listdir(tmp_path / "m" / "new")) == 1


def test_verbs_and_capabilities(tmp_path: Path) -> None:
    async def test() -> None:
        hop = next_hop(f"maildir:{tmp_path}/m", RelaySettings())
        capabilities = await hop.capabilities()
        assert capabilities is not None
        assert capabilities.has("8BITMIME")
        assert not capabilities.has("DSN")
        transaction = hop.transaction(Handover(client=Origin()))
        assert (await transaction.rcpt(ANN)).code == 503
        assert await transaction.data([BODY]) == ()
        assert (await transaction.mail("s@a", ("RET=FULL",))).code == 555
        assert (await transaction.mail("ö@a", ("SMTPUTF8", "BODY=8BITMIME", "SIZE=3"))).ok
        assert (await transaction.rcpt(ANN)).ok
        await transaction.reset()
        assert (await transaction.rcpt(ANN)).code == 503
        assert await deliver(transaction, "s@a", (), [Recipient("")], [BODY]) == (
            Reply(501, "Bad recipient address syntax", "5.1.3"),
        )
        assert files(tmp_path) == []

    run(test())


def test_content_may_come_as_an_iterator(tmp_path: Path) -> None:
    def body() -> Iterator[bytes]:
        yield b"a: b\r"
        yield b"\n\r\nc\r\n"

    async def test() -> None:
        hop = next_hop(f"maildir:{tmp_path}/m", RelaySettings())
        transaction = hop.transaction(Handover(client=Origin()))
        replies = await deliver(transaction, "s@a", (), [ANN, BOB], body())
        assert [reply.code for reply in replies] == [250, 250]

    run(test())
    assert all(file.read_bytes().endswith(b"\na: b\n\nc\n") for file in (tmp_path / "m" / "new").iterdir())
