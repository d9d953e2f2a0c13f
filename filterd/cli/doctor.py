"""`filterd doctor`: what is wrong around filterd, and how to mend it."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address
from typing import Annotated

import typer

from filterd.app.client_ways import taken, ways
from filterd.app.doctor import Level, Told, examine
from filterd.app.hop_walk import walk
from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json
from filterd.cli.storing import opened
from filterd.config import Loaded, find_config, load
from filterd.mail import Message
from filterd.printable import printable
from filterd.record import Record
from filterd.sources import Unreadable, read_sources


def command(
    config: ConfigOption = None,
    as_list: JsonOption = False,
    message: Annotated[
        str | None,
        typer.Option(
            "--message", metavar="FILE", help="Show which hop of this message is taken as its client, and why."
        ),
    ] = None,
    peer: Annotated[
        str | None, typer.Option("--peer", metavar="A", help="With --message: the host that handed it to filterd.")
    ] = None,
) -> int:
    """Looks at resolvers, lists, clocks, client addresses, learning and permissions. Exit code 0: well, 1: not."""
    loaded = load(find_config(config))
    if message is not None:
        return _show_hops(loaded, message, peer, as_list)
    found = asyncio.run(examine(loaded))
    if as_list:
        print_json([{"area": o.area, "level": o.level.value, "text": o.text, "mend": o.mend or None} for o in found])
    else:
        sys.stdout.writelines(f"{line}\n" for one in found for line in _lines(one))
    return int(any(one.level is Level.BAD for one in found))


def _lines(one: Told) -> list[str]:
    lines = [f"{one.level.value:6} {one.area}: {printable(one.text)}"]
    return [*lines, f"       -> {printable(one.mend)}"] if one.mend else lines


def _show_hops(loaded: Loaded, path: str, peer: str | None, as_object: bool) -> int:
    found = next(iter(read_sources([path])), None)
    if found is None or isinstance(found, Unreadable):
        raise Fail(f"{path}: {found.why if found else 'holds no message'}")
    message = Message(found.raw)
    steps, origin = walk(message, _address(peer), loaded.config.networks.known_relays)
    doors, record = list(ways(loaded.config)), _record(loaded, message)
    if as_object:
        print_json(
            {
                "listeners": doors,
                "taken": record and taken(record),
                "steps": steps,
                "client": origin.address,
                "helo": origin.helo,
                "name": origin.name,
                "hop": origin.hop,
            }
        )
        return 0
    lines = [*doors, "where that is not known:", *(f"  {step}" for step in steps)]
    lines += [f"client: {origin.address or 'not known'}", *([taken(record)] if record else ())]
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    return 0


def _record(loaded: Loaded, message: Message) -> Record | None:
    """What was recorded when filterd judged this message, if it did here."""
    named = message.headers.first("X-Filterd-Id")
    if named is None:
        return None
    with opened(loaded.config) as store:
        return store.history.show(named.text.strip())


def _address(text: str | None) -> str | None:
    try:
        return None if text is None else str(ip_address(text))
    except ValueError:
        raise Fail(f"--peer {printable(text or '')} is not an IP address") from None
