"""`filterd backup FILE`: everything that filterd knows, in one file, while mail flows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, read_config
from filterd.cli.storing import opened


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to write.")],
    config: ConfigOption = None,
) -> None:
    """Quarantine, history, keys and the site's models. It holds mail and secrets: keep it as safe as them."""
    from filterd.store.backup import backup

    settings = read_config(config)
    if not file.absolute().parent.is_dir():
        raise Fail(f"{file.parent}: there is no such folder")
    with opened(settings) as store:
        size = backup(store.database, settings.state, file)
    sys.stdout.write(f"{file}: {size:,} bytes\n")
