"""`filterd demo`: what filterd does, shown in a minute on any machine."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from filterd.cli.common import Fail
from filterd.printable import printable
from filterd.record import Record

_COLOURS = {
    "delivered": "green",
    "tagged": "yellow",
    "quarantined": "magenta",
    "refused": "red",
    "deferred": "red",
    "discarded": "red",
}


def command(
    once: Annotated[bool, typer.Option("--once", help="End after the table.")] = False,
) -> None:
    """Everything is on loopback and in a temporary folder that is gone afterwards. Ctrl-C ends it."""
    from filterd.app.run import in_loop
    from filterd.app.service import TROUBLE

    with tempfile.TemporaryDirectory(prefix="filterd-demo-") as folder:
        try:
            in_loop(_run(Path(folder), once))
        except TROUBLE as error:
            raise Fail(str(error)) from error


async def _run(folder: Path, once: bool) -> None:
    from filterd.app.demo import running, send_all

    console = Console(width=None if sys.stdout.isatty() else 140)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    console.print("Starting filterd ...", style="dim")
    async with running(folder) as demo:
        table = Table("message", "to", "became", "score", "authentication", "why", title="What filterd made of them")
        count = 0
        async for sent in send_all(demo):
            if sent.record is None:
                table.add_row(sent.about, "", Text("no answer", "red"), "", "", printable(sent.reply))
                continue
            count += 1
            for position, row in enumerate(rows(sent.record)):
                table.add_row("" if position else sent.about, *row)
        console.print(table)
        delivered = len(list((demo.maildir / "new").glob("*")))
        command = "filterd" if shutil.which("filterd") else sys.argv[0]
        for line in (
            f"{count} messages were sent to {demo.service.doors.names[0]}.",
            f"{delivered} copies lie in the Maildir {demo.maildir}.",
            f"See more: {command} quarantine list -c {demo.config}",
            f"          {command} history find -c {demo.config}",
            f"          http://{demo.http}/metrics",
        ):
            console.print(Text(line), soft_wrap=True)
        if once:
            console.print("The demo has ended, and all this is gone with it; without --once it stays.", style="dim")
        else:
            console.print(Text("The quarantine pages, by a link that lets you in once:", "bold"))
            console.print(Text(f"  {demo.link}"), soft_wrap=True)
            console.print("Ctrl-C ends the demo.", style="dim")
            await ended.wait()


def rows(record: Record) -> Iterator[tuple[str | Text, ...]]:
    """One row for each recipient: whom, what became of it, the score, who vouches, why."""
    auth = record.auth
    vouches = " ".join(
        (
            f"spf={auth.spf.result.value}",
            *(f"dkim={one.result.value}" for one in auth.dkim),
            f"dmarc={auth.dmarc.result.value}",
        )
    )
    strongest = sorted(record.verdict.findings, key=lambda one: -one.points)
    names = ", ".join(f"{one.name} {one.score:+.1f}" for one in strongest[:4] if one.points > 0)
    for delivery, decision in zip(record.deliveries, record.decisions, strict=True):
        became = "tagged" if delivery.fate == "delivered" and decision.action.value == "tag" else delivery.fate
        yield (
            printable(delivery.recipient),
            Text(became, _COLOURS.get(became, "")),
            f"{record.verdict.points / 100:.2f}",
            vouches,
            printable(names or decision.text),
        )
