"""What every command shares: its options, how it fails, and how it prints what strangers wrote.

`Fail("one sentence")` ends a command with that sentence on stderr and exit code 2. Anything that a
stranger may have written (subjects, addresses, file names) goes through `printable` before it meets a
terminal.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.printable import printable
from filterd.told import Told

if TYPE_CHECKING:
    from filterd.config import Config

FAILED = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration. Without it: $FILTERD_CONFIG, else /etc/filterd/filterd.yaml where it is "
        "there, else embedded defaults.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


class Fail(Told):
    """The command cannot do what was asked; the text is one sentence for the person who asked."""


def guarded(run: Callable[[], Any]) -> int:
    """Run a command; its exit code. Every failure becomes a sentence on stderr."""
    try:
        code = run()
        sys.stdout.flush()
    except typer.TyperException as error:
        return _say(f"{_one_line(error.format_message())} Try filterd --help.")
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, and the trace in a file
        return _say(sentence(error))
    return code if isinstance(code, int) else 0


def sentence(error: Exception) -> str:
    """What to tell a person about an error; several lines when several things are wrong."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, Told):
        return str(error)
    return f"internal error, {type(error).__name__}: {error}; the trace is in {_keep_trace(error)}"


def _keep_trace(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="filterd-trace-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return file.name


def _one_line(text: str) -> str:
    """What the parser of arguments says, which breaks lines and names the kind of its error."""
    return " ".join(text.replace("Value error, ", "").split())


def _say(text: str) -> int:
    for line in text.splitlines():
        sys.stderr.write(f"{printable(line)}\n")
    return FAILED


def read_config(path: Path | None) -> Config:
    """The configuration that a command works with; raises ConfigError with every problem.

    What root makes in the state folder is the service's in the end.
    """
    from filterd.app.state import hand_over
    from filterd.config import find_config, load_config

    config = load_config(find_config(path))
    if os.geteuid() == 0:
        atexit.register(hand_over, config.state)
    return config


def state_folder(path: Path | None) -> Path:
    """The state folder that the configuration names, even where the rest of it is wrong: for what must work then.

    Without a readable `state` it raises the ConfigError of the whole.
    """
    from filterd.config import ConfigError, find_config
    from filterd.yamlfile import DocumentError, read_document

    try:
        return read_config(path).state
    except ConfigError:
        found = find_config(path)
        try:
            data = read_document(found).data if found else None
        except DocumentError:
            data = None
        state = data.get("state", "/var/lib/filterd") if isinstance(data, dict) else None
        if not isinstance(state, str):
            raise
        return Path(state)


def print_json(value: Any) -> None:
    """One JSON value on one line; what is not ASCII is escaped, so that no terminal obeys it."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table on a terminal; tab-separated lines where stdout is a file or a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write("\t".join(printable(str(cell)) for cell in row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    Console().print(table)
