"""The whole labelled corpus through the running service, over SMTP, to a real next hop.

No exception (no failed check, no record with an error, no error in the log), no message lost, a verdict recorded for
every one. Refusals for form (a loop, a NUL) are answers, and counted apart. The figures are printed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from filterd.decision import Action
from filterd.store import Store
from tests.load import Client, Gone, stuffed
from tests.nameserver import NameServer
from tests.serving import Serving
from tests.sink import Sink

CLIENTS = 16
TRIES = 5


@dataclass(slots=True)
class Sent:
    """What became of each message on the client's side; a message is known by its recipient."""

    labels: dict[str, str] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


def test_the_corpus_passes(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Sink(tmp_path) as sink, NameServer() as dns:
        service = Serving(
            tmp_path, relay=sink.url, workers=2, dns={"servers": [dns.address]}, limits={"message_size": "50MB"}
        )
        with service:
            started = time.monotonic()
            sent = asyncio.run(_send(service.smtp, _messages(corpus)))
            seconds = time.monotonic() - started
        delivered = {one.recipients[0]: one.content for one in sink.mails()}
    found = _recorded(service.state)
    held = found.held.keys()
    with capsys.disabled():
        print("\n" + _figures(sent, found, seconds))

    assert not sent.lost
    assert sent.accepted == delivered.keys() | held
    assert set(sent.labels) - sent.refused.keys() == found.actions.keys()
    assert not found.broken
    assert not [line for line in service.log if re.match(r"\S+ (error|critical)", line) or "Traceback" in line]
    damaged = [one for one, content in delivered.items() if _body(content) != _body(_as_sunk(sent.paths[one]))]
    assert not damaged


@dataclass(slots=True)
class Recorded:
    """What the store says."""

    actions: dict[str, Action] = field(default_factory=dict)  # by recipient
    held: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)  # errors, and checks that failed


def _recorded(state: Path) -> Recorded:
    found = Recorded()
    store = Store.open(state)
    for row in store.history.each():
        record = store.history.show(row.id)
        assert record is not None
        failed = [one.detail for one in record.verdict.findings if one.name == "CHECK_FAILED"]
        if record.error or failed:
            found.broken.append(f"{record.envelope.recipients[0].address}: {record.error or failed}")
        if record.verdict.probability is None:
            found.broken.append(f"{record.envelope.recipients[0].address}: no verdict")
        found.actions[record.envelope.recipients[0].address] = record.decisions[0].action
    found.held = {item.recipient: item.id for item in store.quarantine.each()}
    store.close()
    return found


def _messages(corpus: Path) -> Iterator[tuple[str, Path]]:
    for line in (corpus / "index").read_text().splitlines():
        label, _, name = line.partition(" ")
        yield label, corpus / name


async def _send(address: tuple[str, int], messages: Iterable[tuple[str, Path]]) -> Sent:
    sent, queue = Sent(), iter(enumerate(messages))

    async def client() -> None:
        for number, (label, path) in queue:
            recipient = f"c{number}@example.org"
            sent.labels[recipient], sent.paths[recipient] = label, path
            await _deliver(address, recipient, path.read_bytes(), sent)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return sent


async def _deliver(address: tuple[str, int], recipient: str, raw: bytes, sent: Sent) -> None:
    said = ""
    for _ in range(TRIES):
        try:
            async with Client(*address) as client:
                answer = (await client.send(_sender(raw), [recipient], raw))[-1]
        except Gone as error:
            said = str(error)
            continue
        if answer.ok:
            sent.accepted.add(recipient)
            return
        said = f"{answer.code} {answer.text}"
        if answer.code >= 500:
            sent.refused[recipient] = said
            return
        await asyncio.sleep(1)
    sent.lost[recipient] = said


def _sender(raw: bytes) -> str:
    """The envelope's sender, where the message still says it."""
    found = re.search(rb"^Return-Path:\s*<([\w.+=-]+@[\w.-]+\w)>", raw, re.MULTILINE | re.ASCII | re.IGNORECASE)
    return found[1].decode() if found else ""


def _as_sunk(path: Path) -> bytes:
    """A message as the sink should have it."""
    return stuffed(path.read_bytes())[:-3].replace(b"\r\n.", b"\r\n").replace(b"\r\n", b"\n")


def _body(content: bytes) -> bytes:
    return content.partition(b"\n\n")[2]


def _figures(sent: Sent, found: Recorded, seconds: float) -> str:
    table = Counter((sent.labels[one], action.value) for one, action in found.actions.items())
    lines = [
        f"{len(sent.labels)} messages in {seconds:.0f} s ({len(sent.labels) / seconds:.0f} a second): "
        f"{len(sent.accepted)} accepted, {len(sent.refused)} refused, {len(sent.lost)} lost, "
        f"{len(found.broken)} records with an error",
        *(f"  {label}: {action} {count}" for (label, action), count in sorted(table.items())),
        *(f"  refused: {count} x {said}" for said, count in _kinds(sent.refused).items()),
        *(f"  lost: {count} x {said}" for said, count in _kinds(sent.lost).items()),
        *(f"  {one}" for one in found.broken[:10]),
    ]
    return "\n".join(lines)


def _kinds(said: dict[str, str]) -> Counter[str]:
    return Counter(re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "ID", text) for text in said.values())
