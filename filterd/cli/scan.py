"""`filterd scan`: judge messages by the very pipeline of the service, and say why."""

from __future__ import annotations

import asyncio
import datetime
import sys
from ipaddress import ip_address
from typing import Annotated

import typer

from filterd.app.report import as_json, as_text, is_spam
from filterd.app.scan import Said, Scanned
from filterd.app.scan import scan as run
from filterd.cli.common import FAILED, ConfigOption, Fail, JsonOption, print_json
from filterd.config import Loaded, find_config, load
from filterd.printable import printable
from filterd.sources import read_sources

NOT_SPAM, SPAM = 0, 1


def command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Files, folders, mbox, Maildir; - is standard input."),
    ],
    config: ConfigOption = None,
    as_objects: JsonOption = False,
    explain: Annotated[bool, typer.Option("--explain", help="Everything that led to the result.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no DNS.")] = False,
    ip: Annotated[str | None, typer.Option(metavar="A", help="The client's address.")] = None,
    helo: Annotated[str | None, typer.Option(metavar="H", help="What the client said in HELO.")] = None,
    hostname: Annotated[str | None, typer.Option(metavar="N", help="The client's reverse name.")] = None,
    mail_from: Annotated[
        str | None, typer.Option(metavar="F", help="The envelope sender; without it, Return-Path.")
    ] = None,
    rcpt: Annotated[
        list[str] | None, typer.Option(metavar="R", help="An envelope recipient; without it, Delivered-To.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="U", help="The authenticated user.")] = None,
    received_at: Annotated[
        str | None,
        typer.Option(metavar="ISO8601", help="When it arrived; without it, the top Received line."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="Worker processes.")] = 1,
) -> int:
    """Exit code 0: not spam, 1: spam or worse, 2: something could not be read or judged."""
    said = Said(_address(ip), helo, hostname, mail_from, tuple(rcpt or ()), user, _moment(received_at))
    return asyncio.run(_scan(load(find_config(config)), paths, said, as_objects, explain, offline, jobs))


async def _scan(
    loaded: Loaded, paths: list[str], said: Said, as_objects: bool, explain: bool, offline: bool, jobs: int
) -> int:
    worst, seen = NOT_SPAM, False
    async for found in run(read_sources(paths), loaded, said, offline=offline, jobs=jobs):
        seen = True
        if not isinstance(found, Scanned):
            sys.stderr.write(f"{printable(found.path)}: {found.why}\n")
            worst = FAILED
            continue
        if as_objects:
            print_json(as_json(found.path, found.record, loaded.config.hostname, explain=explain))
        else:
            for line in as_text(found.path, found.record, explain=explain):
                sys.stdout.write(printable(line) + "\n")
        worst = max(worst, FAILED if found.record.error else SPAM if is_spam(found.record) else NOT_SPAM)
    if not seen:
        raise Fail("there is no message in " + " ".join(printable(path) for path in paths))
    return worst


def _address(text: str | None) -> str | None:
    try:
        return None if text is None else str(ip_address(text))
    except ValueError:
        raise Fail(f"--ip {printable(text or '')} is not an IP address") from None


def _moment(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Fail(f"--received-at {printable(text)} is not a time in ISO 8601, as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
