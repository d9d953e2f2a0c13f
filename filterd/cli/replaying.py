"""`filterd rules replay`: what other rules, scores, thresholds or another model would have done to mail that passed."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from filterd.classifier import ModelError
from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.storing import moment, opened
from filterd.policies import ThresholdSettings
from filterd.printable import printable
from filterd.yamlfile import DocumentError, read_document

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
    from filterd.app.replay import Brief, labelled, stored
    from filterd.app.replay_report import Report

    if index is not None and (since or until):
        raise Fail("--index is a corpus of its own; --since and --until choose from the store")
    now = read_config(config)
    then = _changed(now if other is None else read_config(other), rules, scores, disable, thresholds, model)
    same = then == now
    brief = Brief(None if same and index is None else now, then, model is not None or then.model != now.model, whole)
    report = Report()
    started = time.perf_counter()
    if index is not None:
        try:
            total = sum(1 for line in index.read_text("utf-8").splitlines() if line.strip())
            _collect(report, _court(brief), brief, labelled(index, now), jobs, total)
        except ValueError as error:
            raise Fail(str(error)) from error
    else:
        begin, end = moment(since or MONTH, "--since"), moment(until, "--until")
        with opened(now) as store:
            brief = replace(brief, listed=tuple(store.access.lines()))
            court = _court(brief)
            total = sum(tally.count for tally in store.stats(begin)[1])
            _collect(report, court, brief, stored(store, court, begin, end), jobs, total)
    report.seconds = time.perf_counter() - started
    _print(report, limit, html, as_json)


def _court(brief: Brief) -> Court:
    try:
        return brief.court()
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
    scores: Path | None,
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
        changes["scores"] = {**config.rules.scores, **_scores(scores)}
    if disable:
        changes["disable"] = (*config.rules.disable, *disable)
    try:
        set_ = type(config.rules).model_validate(config.rules.model_dump() | changes)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise Fail(f"{scores}: {wrong['loc'][-1]}: {wrong['msg']}") from error
    changed = config.model_copy(update={"rules": set_})
    if model is not None:
        changed = changed.model_copy(update={"model": config.model.model_copy(update={"path": str(model)})})
    if thresholds:
        changed = changed.model_copy(update={"thresholds": _thresholds(thresholds, config.thresholds)})
    return changed


def _scores(path: Path) -> dict[str, Any]:
    """`NAME: score` lines, perhaps under `scores:` or `rules: {scores:`, as the configuration has them."""
    try:
        data = read_document(path).data
    except DocumentError as error:
        raise Fail(str(error)) from error
    for key in ("rules", "scores"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    if not isinstance(data, dict):
        raise Fail(f"{path}: scores are `NAME: number` lines")
    return data


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
