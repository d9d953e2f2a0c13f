"""Pages of the documentation that are made from the program: every command, every symbol.

`python -m filterd.cli.pages commands|symbols` prints one; a test fails when the page in docs/ is stale.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

from filterd.cli import COMMANDS, build, module_of
from filterd.engine.loading import builtin_symbols
from filterd.ruleset import Ruleset, RulesSettings

_HEAD = """\
# Commands

Every command has `--help` and `-c FILE`; `--json` wherever something is listed: an array for lists, one object a
line for `scan`. Errors are one sentence on stderr and exit code 2. This page is made from the commands by
`make reference`.
"""


def commands() -> str:
    """docs/commands.md."""
    return _HEAD + "".join(_section(words) for name in COMMANDS for words in _words(name))


def _words(name: str) -> Iterator[list[str]]:
    """The command, and its subcommands."""
    yield [name]
    app = getattr(module_of(name), "app", None)
    for command in app.registered_commands if app is not None else ():
        yield [name, command.name or command.callback.__name__.replace("_", "-")]


def _section(words: list[str]) -> str:
    os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "100"
    out = io.StringIO()
    with redirect_stdout(out):
        build(words[0])([*words, "--help"], prog_name="filterd", standalone_mode=False)
    text = "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
    return f"\n{'#' * (len(words) + 1)} filterd {' '.join(words)}\n\n```\n{text}\n```\n"


_SYMBOLS = """\
# Symbols

What filterd can find, what it weighs by default, and where it is declared. Scores of your own: `rules.scores` in the
[configuration](configuration.md); rules of your own: [rules](rules.md). This page is made by `make reference`.

| symbol | score | what it means | declared in |
|---|---|---|---|
"""


def symbols() -> str:
    """docs/symbols.md."""
    rules = Ruleset.load(RulesSettings(), builtin_symbols())
    known = {symbol.name: symbol for symbol in (*builtin_symbols(), *rules.symbols)}
    return _SYMBOLS + "".join(
        f"| `{one.name}` | {one.score:g} | {one.about.replace('|', chr(92) + '|')} | {_file(one.source)} |\n"
        for one in sorted(known.values(), key=lambda one: one.name)
    )


def _file(source: str) -> str:
    """Where, without the line, which moves with every edit."""
    return source.partition(":")[0]


PAGES = {"commands": commands, "symbols": symbols}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
