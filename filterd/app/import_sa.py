"""Bring SpamAssassin's rules over, and try whether filterd takes them.

In: files of SpamAssassin, the site's rules and the symbols of checks. Out: YAML of the rules that load beside the
shipped ones, and a line for everything that was left. Nothing is written but a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from filterd.findings import Symbol
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.place import RuleErrors
from filterd.spamassassin import Imported, Left, Line, read, render, translate

_ROUNDS = 50  # of loading and leaving out; each ends what asks about what was left out before


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of it; `yaml` is empty when no rule could be brought over."""

    rules: tuple[dict[str, Any], ...]
    yaml: str
    left: tuple[Left, ...]


def bring(files: Iterable[Path], settings: RulesSettings, symbols: Sequence[Symbol]) -> Brought:
    """Raises OSError for a file that cannot be read, RuleErrors when the site's own rules do not load."""
    left: list[Left] = []
    lines = [line for path in files for line in _lines(path, left)]
    taken = {symbol.name for symbol in Ruleset.load(settings, symbols).symbols} | {symbol.name for symbol in symbols}
    made = translate(lines, taken)
    rules = _accepted(made, settings, symbols)
    return Brought(
        tuple(rules), render(rules), tuple(sorted([*left, *made.left], key=lambda one: (one.file, one.line)))
    )


def sources(paths: Iterable[Path]) -> Iterator[Path]:
    """The files themselves, and the *.cf files of folders, in the order in which SpamAssassin reads them."""
    for path in paths:
        yield from sorted(path.glob("*.cf")) if path.is_dir() else [path]


def _lines(path: Path, left: list[Left]) -> Iterator[Line]:
    raw = path.read_bytes()
    if b"\0" in raw:
        left.append(Left(str(path), 1, "the file", "this is no text"))
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    yield from read(text, str(path), left)


def _accepted(made: Imported, settings: RulesSettings, symbols: Sequence[Symbol]) -> list[dict[str, Any]]:
    """The rules that load; the others are noted in `made.left` with filterd's own words."""
    rules = made.rules
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "imported.yaml")
        for _ in range(_ROUNDS):
            file.write_text(render(rules), "utf-8", "replace")
            try:
                Ruleset.load(settings.model_copy(update={"paths": (*settings.paths, Path(folder))}), symbols)
                return rules
            except RuleErrors as error:
                refused = _refused(rules, [(one.line, one.text) for one in error.problems if one.file == str(file)])
                if not refused:
                    raise
            for name, why in refused.items():
                theirs, line = made.sources[name]
                made.left.append(Left(line.file, line.line, f"{line.word} {theirs}", f"filterd refuses it: {why}"))
            rules = [one for one in rules if one["name"] not in refused]
    return []


def _refused(rules: Sequence[dict[str, Any]], problems: Iterable[tuple[int, str]]) -> dict[str, str]:
    """What was said about each rule: the one that begins at or before the line of a problem."""
    lengths = [render([one]).count("\n") + 1 for one in rules]
    starts = [1, *accumulate(lengths, initial=1)][1:]
    refused: dict[str, str] = {}
    for line, text in problems:
        place = max((at for at, start in enumerate(starts[:-1]) if start <= line), default=None)
        if place is not None:
            refused.setdefault(rules[place]["name"], text)
    return refused
