"""`filterd restore FILE`: a backup put back, while the service is down."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, read_config
from filterd.store import StoreError


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `filterd backup` wrote.")],
    config: ConfigOption = None,
) -> None:
    """What the state folder holds now is moved aside, not deleted."""
    from filterd.store.backup import restore

    settings = read_config(config)
    if settings.database:
        raise Fail("the database is on a server: restore it with pg_restore")
    try:
        aside = restore(file, settings.state)
    except StoreError as error:
        raise Fail(str(error)) from error
    sys.stdout.write(f"{settings.state} is as it was in {file}\n")
    if aside:
        sys.stdout.write(f"what was there before is in {aside}\n")
