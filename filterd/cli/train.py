"""`filterd train`: learn many labelled messages, make a version of the site's model, use it if it is not worse."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, read_config
from filterd.cli.learn import learning
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
    warn,
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
from filterd.cli.storing import opened, who
from filterd.config import Config
from filterd.learning import LearningError, Request
from filterd.learning.labelled import Newest, Sources, take
from filterd.learning.shelf import Shelf
from filterd.learning.words import LEFT_OUT
from filterd.printable import printable

if TYPE_CHECKING:
    from filterd.classifier import Model


def command(
    spam: SpamOption = None,
    ham: HamOption = None,
    index: IndexOption = None,
    imap: ImapOption = None,
    ham_folder: HamFolderOption = None,
    spam_folder: SpamFolderOption = None,
    pop3: Pop3Option = None,
    pop3_class: Pop3ClassOption = "",
    password_file: PasswordOption = None,
    ca: CaOption = None,
    history: HistoryOption = False,
    config: ConfigOption = None,
    jobs: JobsOption = 0,
    force: Annotated[bool, typer.Option("--force", help="Use it even if the gate objects.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Put the version there, and use it not.")
    ] = None,
    dask: DaskOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make and measure the version, and use it not.")] = False,
    as_object: JsonOption = False,
) -> int:
    """Without sources: from the labels that are stored. The version is used at once unless it is worse on held out
    labels than the one in use; then the exit code is 1 and nothing changes."""
    from filterd.classifier import ModelError, load_shipped_or, open_live
    from filterd.learning.stored import stored_labels
    from filterd.learning.train import keep, put, train
    from filterd.learning.versions import Versions

    settings = read_config(config)
    mailboxes = Mailboxes(password_file, ca, folders_of(imap, ham_folder, spam_folder, pop3, pop3_class))
    sources = given(spam, ham, index, required=False, mailboxes=mailboxes, history=settings if history else None)
    try:
        base = load_shipped_or(settings.model)
        with at_work(jobs, dask) as processes:
            newest = _read(sources, base, processes, settings)
        with opened(settings) as store:
            stored = stored_labels(store, settings.learn.labels, base, Shelf(_disk(settings)))
        if stored.left_out:
            sys.stderr.write(f"{LEFT_OUT.format(len(stored.left_out))}\n")
        if not stored.examples and not newest.labels:
            raise Fail("there are no labels: give --spam, --ham or --index, or teach with filterd learn")
        live = open_live(settings.state)
        trained = train(stored.examples, newest.labels, live, settings.learn.fixed_base, _step)
        used = not dry_run and output is None and (force or not trained.objection)
        version = keep(
            Versions(settings.state),
            trained,
            base,
            live.id if live is not None and live.taught else "",
            output,
            (newest.first, newest.last),
        )
        if used:
            with opened(settings) as store:
                put(store, trained, newest.messages, settings.learn.messages, who())
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
    return 0 if used or dry_run or output is not None else 1


def _read(sources: Sources, base: Model, jobs: int, config: Config) -> Newest:
    """The newest labels of the sources; says what is to be warned of."""
    from filterd.classifier.leaks import Presence

    newest, seen = Newest(config.learn.labels, config.learn.messages, _disk(config)), Presence()
    with counter("reading", sources.count()) as done:
        for one in take(sources, base, jobs, done, keep_raw=True):
            seen.add(one.headers, one.spam)
            newest.add(one)
    warn(seen, sources.unreadable)
    return newest


def _disk(config: Config) -> Path | None:
    """Where there is room for many labels: beside the database, if we may write there."""
    return config.state if os.access(config.state, os.W_OK) else None


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
