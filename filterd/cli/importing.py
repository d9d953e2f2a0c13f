"""`filterd rules import-sa`: SpamAssassin's rules as a file of rules, and what could not be brought over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.engine.loading import builtin_symbols
from filterd.printable import printable


def import_sa(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files of SpamAssassin, or folders of *.cf files.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the rules there, not to stdout.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Translate SpamAssassin's rules into rules of filterd, to review and to put into rules.d.

    What cannot be translated is listed on stderr, each with file, line and reason. The files are read together, for
    scores and descriptions may stand apart from their rules. Exit code 2, and no file is written, when no rule came
    of it.
    """
    from filterd.app.import_sa import bring, sources

    settings = read_config(config)
    brought = bring(sources(paths), settings.rules, builtin_symbols(settings.site))
    if not brought.rules and not brought.left:
        raise Fail(f"{paths[0]}: there is nothing of SpamAssassin in it")
    if output is not None and brought.rules:
        output.write_text(brought.yaml, "utf-8")
    if as_json:
        left = [{"file": one.file, "line": one.line, "what": one.what, "why": one.why} for one in brought.left]
        print_json({"rules": list(brought.rules), "yaml": brought.yaml, "untranslated": left})
        raise typer.Exit(0 if brought.rules else 2)
    if output is None:
        sys.stdout.write(brought.yaml)
    for one in brought.left:
        sys.stderr.write(f"{printable(str(one))}\n")
    if not brought.rules:
        raise Fail(f"{paths[0]}: no rule could be made of it")
    sys.stderr.write(f"{len(brought.rules)} rules translated, {len(brought.left)} things left\n")
