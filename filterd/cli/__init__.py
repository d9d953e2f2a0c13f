"""The `filterd` command: one file per command, imported only when that command is asked for.

A module `filterd.cli.NAME` offers either `command`, a function that is the whole command, or `app`, a
Typer with subcommands. Whatever goes wrong is one sentence on stderr and exit code 2; a traceback is a
bug, is kept in a file, and the sentence says where.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated

import typer

COMMANDS = {
    "serve": "Run the service: listen, judge, relay.",
    "demo": "Start the service on embedded defaults and send a dozen messages through it.",
    "scan": "Judge messages from files, folders, mbox, Maildir or stdin.",
    "rules": "List, show, lint and test the rules.",
    "quarantine": "List, show, release, delete and learn from what was kept back.",
    "history": "Find, show and explain messages that passed.",
    "campaigns": "Texts that came many times: list, show and forget them.",
    "learn": "Teach the site's own model: spam, ham or forget.",
    "review": "What people suggest to learn: list, show, accept, reject, undo.",
    "imap-watch": "Follow Junk folders over IMAP: what is moved in and out is learnt.",
    "train": "Make a version of the site's model from labelled mail, and use it if it is not worse.",
    "evaluate": "Measure the models on labelled mail.",
    "model": "List, show, use, roll back and check models.",
    "user": "Who may look into the quarantine: add, list, change, remove.",
    "backup": "Write everything that filterd knows to one file.",
    "restore": "Put a backup back.",
    "bypass": "Emergency: let everything pass with a header.",
    "config": "Check and explain the configuration.",
    "doctor": "What is wrong around filterd, and how to mend it.",
    "status": "Is the service well? Exit code 0 well, 1 degraded, 2 down.",
}


def _version(asked: bool) -> None:
    if asked:
        from filterd import __version__

        sys.stdout.write(f"filterd {__version__}\n")
        raise typer.Exit


def _filterd(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """filterd: a spam and security filter that stands in front of a mail server."""


def _elsewhere() -> None:
    """Stands in the list for a command that was not asked for."""


def module_of(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"filterd.cli.{name.replace('-', '_')}")


def build(chosen: str | None = None) -> typer.Typer:
    """The command line, with the module of `chosen` imported and the others only named."""
    root = typer.Typer(name="filterd", add_completion=False, no_args_is_help=True, rich_markup_mode=None)
    root.callback()(_filterd)
    for name, summary in COMMANDS.items():
        if name != chosen:
            root.command(name, help=summary)(_elsewhere)
            continue
        module = module_of(name)
        if hasattr(module, "app"):
            root.add_typer(module.app, name=name, help=summary, no_args_is_help=True)
        else:
            root.command(name, help=f"{summary}\n\n{inspect.cleandoc(module.command.__doc__ or '')}")(module.command)
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if not word.startswith("-")), None)
    from filterd.cli.common import guarded

    sys.exit(guarded(lambda: build(chosen)(given, prog_name="filterd", standalone_mode=False)))
