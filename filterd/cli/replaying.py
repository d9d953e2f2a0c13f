"""`filterd rules replay`: what other rules, scores, thresholds or another model would have done to mail that passed."""

from __future__ import annotations

import datetime
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from filterd.classifier import ModelError
from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.storing import moment, opened
from filterd.policies import ThresholdSettings
from filterd.printable import printable
from filterd.ruleset import RuleErrors
from filterd.yamlfile import Document, DocumentError, Key, Problem, read_document

if TYPE_CHECKING:
    from filterd.app.replay import Brief, Case, Court, Seen
    from filterd.app.replay_report import Report
    from filterd.config import Config

MONTH = "30d"


def replay(
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", metavar="DIR", help="Other rules: folders or *.yaml files instead of rules.paths."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option("--scores", metavar="FILE", help="Other scores: YAML of `NAME: score`, over rules.scores."),
    ] = None,
    disable: Annotated[
        list[str] | None, typer.Option("--disable", metavar="NAME", help="This rule or check does not count.")
    ] = None,
    thresholds: Annotated[
        str,
        typer.Option(metavar="T", help="Other thresholds of the site: tag=5,quarantine=8,reject=never."),
    ] = "",
    model: Annotated[
        Path | None, typer.Option("--model", metavar="DIR", help="Another base model; takes the whole message.")
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option("--new-config", metavar="FILE", help="Another configuration: rules, policies, access and all."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Mail not older: 2h, 30d, or a date; 30d without it.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="T", help="Older mail: as --since.")] = "",
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="FILE", help="Not the store: a labelled corpus, `spam PATH`, `ham PATH`."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Judge every message that was kept, not its record alone.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, metavar="N", help="Processes.")] = 1,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Flips to list one by one.")] = 50,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge mail of the past again, and say what would have met another fate, and why.

    With another configuration, rule set, scores, thresholds or model, those are compared with the configuration in
    force; without any, that is compared with what was recorded. Nothing is changed.
    """
    from filterd.app.replay import Brief, index_lines, labelled, stored
    from filterd.app.replay_report import Report

    if index is not None and (since or until):
        raise Fail("--index is a corpus of its own; --since and --until choose from the store")
    begin, end = moment(since or MONTH, "--since"), moment(until, "--until")
    if begin and end and end <= begin:
        raise Fail(f"--until {until} is not after --since {since or MONTH}: no mail is between the two")
    now = read_config(config)
    others = None if scores is None else _Scores.read(scores)
    then = _changed(now if other is None else read_config(other), rules, others, disable, thresholds, model)
    same = then == now
    brief = Brief(None if same and index is None else now, then, model is not None or then.model != now.model, whole)
    report = Report()
    started = time.perf_counter()
    if index is not None:
        try:
            total = sum(1 for line in index_lines(index) if line.strip())
            _collect(report, _court(brief, others), brief, labelled(index, now), jobs, total)
        except ValueError as error:
            raise Fail(str(error)) from error
    else:
        with opened(now) as store:
            brief = replace(brief, listed=tuple(store.access.lines()))
            court = _court(brief, others)
            total = sum(tally.count for tally in store.stats(begin)[1])
            _collect(report, court, brief, stored(store, court, begin, end), jobs, total)
    report.seconds = time.perf_counter() - started
    _print(report, limit, html, as_json)


def _court(brief: Brief, scores: _Scores | None) -> Court:
    try:
        return brief.court()
    except RuleErrors as error:
        raise RuleErrors([scores.placed(one) if scores else one for one in error.problems]) from error
    except ModelError as error:
        raise Fail(str(error)) from error


def _collect(report: Report, court: Court, brief: Brief, cases: Iterable[Case], jobs: int, total: int) -> None:
    from filterd.app.replay import judged, judged_by

    seen = judged(court, cases) if jobs == 1 else judged_by(jobs, brief, cases)
    for one in _watched(seen, total):
        report.add(one)


def _watched(seen: Iterable[Seen], total: int) -> Iterator[Seen]:
    """The same, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from seen
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(seen, "judging", total or None, console=Console(stderr=True), transient=True)


def _print(report: Report, limit: int, html: Path | None, as_json: bool) -> None:
    if html is not None:
        title = f"Replay of {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M}"
        html.write_text(report.as_html(title), "utf-8", "xmlcharrefreplace")
    if as_json:
        print_json(report.as_json())
        return
    for line in report.as_text(limit):
        sys.stdout.write(printable(line) + "\n")


def _changed(
    config: Config,
    rules: list[Path] | None,
    scores: _Scores | None,
    disable: list[str] | None,
    thresholds: str,
    model: Path | None,
) -> Config:
    """The configuration with these in the place of its own; raises Fail."""
    changes: dict[str, Any] = {}
    if missing := [path for path in rules or () if not path.exists()]:
        raise Fail(f"{missing[0]}: no such file or folder")
    if rules:
        changes["paths"] = tuple(rules)
    if scores is not None:
        changes["scores"] = {**config.rules.scores, **scores.given}
    if disable:
        changes["disable"] = (*config.rules.disable, *disable)
    try:
        set_ = type(config.rules).model_validate(config.rules.model_dump() | changes)
    except ValidationError as error:
        wrong = error.errors()[0]
        name, text = str(wrong["loc"][-1]), wrong["msg"].removeprefix("Value error, ")
        raise Fail(str(scores.at(name, f"{name}: {text}")) if scores else f"{name}: {text}") from error
    changed = config.model_copy(update={"rules": set_})
    if model is not None:
        changed = changed.model_copy(update={"model": config.model.model_copy(update={"path": str(model)})})
    if thresholds:
        changed = changed.model_copy(update={"thresholds": _thresholds(thresholds, config.thresholds)})
    return changed


@dataclass(frozen=True, slots=True)
class _Scores:
    """`NAME: score` lines, perhaps under `scores:` or `rules: {scores:`, as the configuration has them."""

    document: Document
    key: Key  # where the lines stand
    given: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Scores:
        try:
            document = read_document(path)
        except DocumentError as error:
            raise Fail(str(error)) from error
        data: Any = document.data
        key: Key = ()
        for step in ("rules", "scores"):
            if isinstance(data, dict) and isinstance(data.get(step), dict):
                data, key = data[step], (*key, step)
        if not isinstance(data, dict):
            raise Fail(f"{path}: scores are `NAME: number` lines")
        return cls(document, key, data)

    def at(self, name: str, text: str) -> Problem:
        return Problem(self.document.file, self.document.line((*self.key, name)), text)

    def placed(self, problem: Problem) -> Problem:
        """A problem of `rules.scores`, at the line of the name that it is about when that is one of these."""
        about = [name for name in re.findall(r"\w+", problem.text) if name in self.given]
        return self.at(about[0], problem.text) if problem.file == "rules.scores" and about else problem


def _thresholds(text: str, old: ThresholdSettings) -> ThresholdSettings:
    given: dict[str, float | None] = {}
    for part in text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if name in given:
            raise Fail(f"--thresholds: {name} is there twice")
        if name not in ThresholdSettings.model_fields:
            raise Fail(f"--thresholds: {name or part!r} is not one of {', '.join(ThresholdSettings.model_fields)}")
        try:
            given[name] = None if value == "never" else float(value)
        except ValueError:
            raise Fail(f"--thresholds: {name} is a number or never, not {value!r}") from None
    try:
        return ThresholdSettings.model_validate(old.model_dump() | given)
    except ValidationError as error:
        raise Fail(f"--thresholds: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
