"""`filterd bypass on|off`: the emergency switch."""

from __future__ import annotations

import datetime
import enum
import getpass
import sys
from typing import Annotated

import typer

from filterd.app.state import Bypass
from filterd.cli.common import ConfigOption, Fail, state_folder


class Switch(enum.StrEnum):
    ON = "on"
    OFF = "off"


def command(
    switch: Annotated[Switch | None, typer.Argument(metavar="on|off", help="Without it: is it on?")] = None,
    config: ConfigOption = None,
) -> None:
    """While it is on, every message passes with the header X-Filterd-Bypass, and status and log say so.

    What would have been decided is still recorded. It takes effect within a second, and survives a restart.
    """
    bypass = Bypass(state_folder(config))
    try:
        if switch is Switch.ON:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            bypass.switch_on(_who(), now)
        elif switch is Switch.OFF:
            bypass.switch_off()
    except OSError as error:
        raise Fail(f"{bypass.path} cannot be written: {error.strerror}") from error
    said = bypass.said()
    sys.stdout.write(f"bypass is on {said}\n" if said else "bypass is off\n")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
