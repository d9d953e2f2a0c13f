"""`filterd train`: learn many labelled messages, make a version of the site's model, use it if it is not worse."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.learn import learning
from filterd.cli.learning_sources import HamOption, IndexOption, JobsOption, SpamOption, counter, given, warn
from filterd.cli.storing import opened, who
from filterd.config import Config
from filterd.learning import LearningError, Request
from filterd.learning.labelled import Taken, take
from filterd.printable import printable


def command(
    spam: SpamOption = None,
    ham: HamOption = None,
    index: IndexOption = None,
    config: ConfigOption = None,
    jobs: JobsOption = 1,
    force: Annotated[bool, typer.Option("--force", help="Use it even if the gate objects.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make and measure the version, and use it not.")] = False,
    as_object: JsonOption = False,
) -> int:
    """Without sources: from the labels that are stored. The version is used at once unless it is worse on held out
    labels than the one in use; then the exit code is 1 and nothing changes."""
    from filterd.classifier import ModelError, load_shipped_or, open_live
    from filterd.learning.learner import examples
    from filterd.learning.train import keep, put, train
    from filterd.learning.versions import Versions

    settings = read_config(config)
    sources = given(spam, ham, index, required=False)
    try:
        base = load_shipped_or(settings.model)
        with counter("reading") as done:
            taken = _bounded(list(take(sources, base, jobs, done, keep_raw=True)), settings)
        warn(taken, sources.unreadable)
        with opened(settings) as store:
            stored = examples(store, settings.learn.labels, base)
        if not stored and not taken:
            raise Fail("there are no labels: give --spam, --ham or --index, or teach with filterd learn")
        versions, live = Versions(settings.state), open_live(settings.state)
        trained = train(stored, [(one.example, one.spam) for one in taken], live, settings.learn.fixed_base, _step)
        used = not dry_run and (force or not trained.objection)
        version = keep(versions, trained, base, live.id if live is not None and live.taught else "")
        if used:
            with opened(settings) as store:
                put(store, trained, {one.example.digest: one.raw for one in taken}, settings.learn.messages, who())
            with learning(settings) as handle:
                handle(Request(use=version, by=who()))
    except (LearningError, ModelError) as error:
        raise Fail(str(error)) from error
    report = {
        "version": version,
        "used": used,
        "ham": trained.model.ham,
        "spam": trained.model.spam,
        "candidate": msgspec.to_builtins(trained.candidate),
        "current": msgspec.to_builtins(trained.current),
        "objection": trained.objection,
    }
    if as_object:
        print_json(report)
    else:
        _tell(report)
    return 0 if used or dry_run else 1


def _bounded(taken: list[Taken], config: Config) -> list[Taken]:
    """The newest labels that the site keeps, with as many messages as it has room for."""
    found: list[Taken] = []
    room = config.learn.messages
    for one in taken[-config.learn.labels :][::-1]:
        room -= len(one.raw)
        found.append(one if room > 0 else Taken(one.example, one.spam, one.headers))
    return found[::-1]


def _step(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{what} ...\n")


def _tell(report: dict[str, object]) -> None:
    sys.stdout.write(f"{report['version']}: learnt {report['ham']} ham, {report['spam']} spam\n")
    for name in ("candidate", "current"):
        if isinstance(found := report[name], dict):
            sys.stdout.write(
                f"{name}: {found['ham_tagged']} of {found['ham']} ham tagged, {found['spam_missed']} of "
                f"{found['spam']} spam missed, 1-ROCA {found['one_minus_roca']} %\n"
            )
    if report["objection"]:
        sys.stdout.write(f"the gate objects: {printable(str(report['objection']))}\n")
    sys.stdout.write("in use now\n" if report["used"] else "not in use; --force uses it all the same\n")
