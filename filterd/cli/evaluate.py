"""`filterd evaluate`: how good the models are on labelled mail, in the TREC spam track's measures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.learning_sources import (
    DaskOption,
    HamOption,
    HistoryOption,
    IndexOption,
    JobsOption,
    SpamOption,
    at_work,
    counter,
    given,
    tell,
)
from filterd.cli.mailbox_sources import (
    CaOption,
    HamFolderOption,
    ImapOption,
    Mailboxes,
    PasswordOption,
    Pop3ClassOption,
    Pop3Option,
    SpamFolderOption,
    folders_of,
)
from filterd.learning import LearningError
from filterd.learning.labelled import Sources, Taken, take
from filterd.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from filterd.classifier import Model
    from filterd.classifier.metrics import Interval, Metrics
    from filterd.classifier.protocol import Feedback
    from filterd.classifier.site import Example, SiteModel
    from filterd.config import Config


def command(
    index: IndexOption = None,
    spam: SpamOption = None,
    ham: HamOption = None,
    imap: ImapOption = None,
    ham_folder: HamFolderOption = None,
    spam_folder: SpamFolderOption = None,
    pop3: Pop3Option = None,
    pop3_class: Pop3ClassOption = "",
    password_file: PasswordOption = None,
    ca: CaOption = None,
    history: HistoryOption = False,
    online: Annotated[
        bool, typer.Option("--online", help="A fresh model classifies each message and then learns it, in order.")
    ] = False,
    delay: Annotated[int, typer.Option(min=0, metavar="N", help="Online: each label comes N messages late.")] = 0,
    noise: Annotated[
        float, typer.Option(min=0, max=0.5, metavar="F", help="Online: this share of the labels is wrong.")
    ] = 0.0,
    freeze: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Online: nothing is learnt after N messages.")
    ] = None,
    base: Annotated[
        bool, typer.Option("--base/--no-base", help="With the base model, or the site's own alone.")
    ] = True,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="DIR", help="A base model, or a version of the site's, in place of what is used."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder for metrics.json, plots and a page.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Resamples for the 95 % intervals.")] = 200,
    config: ConfigOption = None,
    jobs: JobsOption = 0,
    dask: DaskOption = "",
    as_object: JsonOption = False,
) -> int:
    """Without --online, the models in use, or the given one, judge the messages and learn nothing. 1-ROCA %: how often
    a ham outranks a spam. LAM %: the logistic mean of both error rates at even odds. sm@hm.1%: spam missed when 0.1 %
    of ham is blocked."""
    import numpy as np

    from filterd.classifier import ModelError
    from filterd.classifier.metrics import measure
    from filterd.classifier.protocol import Feedback

    settings = read_config(config)
    started = time.perf_counter()
    mailboxes = Mailboxes(password_file, ca, folders_of(imap, ham_folder, spam_folder, pop3, pop3_class))
    sources = given(spam, ham, index, required=True, mailboxes=mailboxes, history=settings if history else None)
    try:
        foreign, site = _models(settings, model, base=base)
        with at_work(jobs, dask) as processes, counter("messages", sources.count()) as done:
            taken = take(sources, foreign, processes, done)
            if online:
                labels, scores = _online(taken, Feedback(delay, noise, freeze), site)
            else:
                labels, scores = _as_it_is(taken, _judge(settings, model, site))
        metrics = measure(labels, np.array(scores), bootstrap=bootstrap)
        if report is not None:
            _report(report, sources, online, labels, scores, metrics)
    except (LearningError, ModelError, ValueError) as error:
        raise Fail(str(error)) from error
    tell(sources.unreadable)
    milliseconds = round(1000 * (time.perf_counter() - started) / len(labels), 3)
    if as_object:
        print_json({**metrics.to_dict(), "unreadable": len(sources.unreadable), "milliseconds": milliseconds})
    else:
        _tell(metrics)
        sys.stdout.write(f"milliseconds a message: {milliseconds}\n")
    return 2 if sources.unreadable else 0


def _models(config: Config, folder: Path | None, *, base: bool) -> tuple[Model | None, SiteModel | None]:
    """The base model and the site's version to try; raises ModelError, LearningError."""
    from filterd.classifier import load_model, load_shipped_or
    from filterd.classifier.manifest import read_folder
    from filterd.learning.versions import opened_version

    if folder is not None and read_folder(folder)[0].kind == "base":
        return load_model(folder), None
    foreign = load_shipped_or(config.model) if base else None
    return foreign, None if folder is None else opened_version(folder, config.learn.fixed_base)


def _judge(config: Config, folder: Path | None, site: SiteModel | None) -> Callable[[Example], float]:
    """What gives the log-odds of a message: the models in use, or those given."""
    from filterd.classifier import open_live

    if site is not None:
        return site.log_odds
    live = open_live(config.state) if folder is None else None
    return (lambda example: example.base) if live is None else live.judge


def _online(taken: Iterable[Taken], feedback: Feedback, site: SiteModel | None) -> tuple[list[bool], list[float]]:
    """The protocol on a stream: labels are noted as the messages pass."""
    from filterd.classifier.protocol import stream

    labels: list[bool] = []
    scores: list[float] = []
    for score, spam in stream(((one.example, one.spam) for one in taken), feedback, site):
        scores.append(score)
        labels.append(spam)
    return labels, scores


def _as_it_is(taken: Iterable[Taken], judge: Callable[[Example], float]) -> tuple[list[bool], list[float]]:
    labels: list[bool] = []
    scores: list[float] = []
    for one in taken:
        labels.append(one.spam)
        scores.append(judge(one.example))
    return labels, scores


def _report(
    folder: Path, sources: Sources, online: bool, labels: list[bool], scores: list[float], metrics: Metrics
) -> None:
    from filterd.classifier.report import write_report

    what = sources.index.name if sources.index else "given folders"
    try:
        write_report(folder, f"{what}, {'online' if online else 'as it is'}", labels, scores, metrics)
    except ModuleNotFoundError as error:
        raise Fail("plots need matplotlib: pip install 'filterd[plots]'") from error


def _tell(metrics: Metrics) -> None:
    lines = {
        "messages": f"{metrics.ham} ham, {metrics.spam} spam",
        "1-ROCA %": _with(metrics.one_minus_roca, metrics.one_minus_roca_interval),
        "LAM %": f"{metrics.lam:.4f}",
        "sm@hm.1%": _with(metrics.spam_missed_at_hm_1, metrics.spam_missed_at_hm_1_interval),
        "sm@hm.01%": _with(metrics.spam_missed_at_hm_01, metrics.spam_missed_at_hm_01_interval),
        "ham misclassified %": f"{metrics.ham_misclassified:.4f}",
        "spam misclassified %": f"{metrics.spam_misclassified:.4f}",
        "calibration error %": f"{metrics.calibration_error:.4f}",
    }
    for name, value in lines.items():
        sys.stdout.write(f"{printable(name)}: {value}\n")


def _with(value: float, interval: Interval | None) -> str:
    return f"{value:.4f}" + (f" (95 %: {interval.low:.4f} to {interval.high:.4f})" if interval else "")
