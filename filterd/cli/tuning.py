"""`filterd rules tune`: scores fitted to labelled mail, as an overlay to review."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, print_table, read_config
from filterd.cli.learning_sources import HamOption, IndexOption, JobsOption, SpamOption, counter, given
from filterd.cli.storing import moment, opened
from filterd.learning import LearningError
from filterd.learning.labelled import Sources
from filterd.printable import printable

if TYPE_CHECKING:
    from filterd.app.tune import Counted, Heard, Tuning
    from filterd.config import Config

LIKE = 0.2  # of the hits of either that both have: less is not worth a word


def tune(
    spam: SpamOption = None,
    ham: HamOption = None,
    index: IndexOption = None,
    history: Annotated[
        bool, typer.Option("--history", help="Mail of the store that people reported, or released from quarantine.")
    ] = False,
    since: Annotated[str, typer.Option("--since", metavar="T", help="Of the history, what is not older: 30d.")] = "",
    rate: Annotated[
        str,
        typer.Option(
            "--fp-rate", metavar="R", help="The share of the ham that may reach the tag threshold: 0.005, or 0.5%."
        ),
    ] = "0.5%",
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME", help="Fit only these rules and checks. Repeatable.")
    ] = None,
    with_classifier: Annotated[
        bool,
        typer.Option(
            "--with-classifier", help="Count the classifier's points as they are; else the rules stand alone."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the overlay there.")
    ] = None,
    jobs: JobsOption = 1,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the scores of rules and checks to labelled mail, and print an overlay to review; nothing is changed.

    The overlay is `rules: {scores: ...}`, as the configuration takes it; `filterd rules replay --scores FILE` shows
    first what it would do. Each rule keeps its sign, and stays under the tag threshold alone.
    """
    from filterd.app.tune import tuning

    settings, share = read_config(config), _rate(rate)
    messages = _heard(
        settings, given(spam, ham, index, required=False), history, since, jobs, alone=not with_classifier
    )
    if not messages:
        raise Fail("there is no labelled mail: give --index, --spam and --ham, or --history")
    try:
        found = tuning(messages, settings, share, rule or ())
    except ValueError as error:
        raise Fail(str(error)) from error
    overlay = "\n".join(_overlay(found)) + "\n"
    if output is not None:
        output.write_text(overlay, "utf-8")
    if as_json:
        print_json(msgspec.to_builtins(found) | {"overlay": {"rules": {"scores": found.scores}}})
        return
    _print(found)
    sys.stdout.write(f"\nwritten to {printable(str(output))}\n" if output is not None else f"\n{overlay}")


def _heard(config: Config, sources: Sources, history: bool, since: str, jobs: int, *, alone: bool) -> list[Heard]:
    """What rules find in all of that mail."""
    from filterd.app.replay import Court, stored
    from filterd.app.tune import heard, recalled

    found: list[Heard] = []
    try:
        with counter("judging") as done:
            for one in heard(sources, config, jobs, alone=alone):
                found.append(one)
                done(len(found))
    except LearningError as error:
        raise Fail(str(error)) from error
    for missing in sources.unreadable:
        sys.stderr.write(f"{printable(missing.path)}: {missing.why}\n")
    if history:
        court = Court.of(None, config)
        with opened(config) as store:
            found += recalled(court, stored(store, court, moment(since, "--since")), alone=alone)
    elif since:
        raise Fail("--since chooses from --history")
    return found


def _rate(text: str) -> float:
    """A share: 0.005, or 0.5%."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        rate = float(number) / (100 if percent else 1)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise Fail(f"--fp-rate is a share of the ham, as 0.005 or 0.5%, not {printable(text)}")
    return rate


def _overlay(found: Tuning) -> Iterator[str]:
    """The overlay as YAML, with what each score was and why it changes."""
    yield f"# Scores fitted by filterd rules tune to {found.before.ham} ham and {found.before.spam} spam,"
    yield f"# for at most {found.rate:.3%} of the ham at the tag threshold, {found.tag:g}. To be reviewed."
    yield from ("rules:", "  scores:") if found.scores else ("rules: {scores: {}}",)
    for row in sorted(found.rows, key=lambda row: row.name):
        if row.name in found.scores:
            yield (
                f"    {row.name}: {row.after:g}  # was {row.before:g}; in {row.spam_share:.2%} of the spam, "
                f"{row.ham_share:.2%} of the ham, S/O {row.s_o:.3f}"
            )


def _print(found: Tuning) -> None:
    print_table(
        ("name", "spam", "ham", "spam %", "ham %", "S/O", "overlap", "before", "after"),
        [
            (
                row.name,
                row.spam,
                row.ham,
                f"{row.spam_share:.2%}",
                f"{row.ham_share:.2%}",
                f"{row.s_o:.3f}",
                f"{row.overlap:.0%} {row.twin}" if row.overlap >= LIKE else "",
                f"{row.before:g}",
                f"{row.after:g}" if row.tuned else "fixed",
            )
            for row in found.rows
        ],
    )
    sys.stdout.write("\n")
    for name, counted in (("before", found.before), ("after, held out", found.after)):
        sys.stdout.write(f"{name}: {told(counted)}\n")


def told(counted: Counted) -> str:
    return (
        f"of {counted.ham} ham {counted.ham_tagged} tagged ({_share(counted.ham_tagged, counted.ham)}) and "
        f"{counted.ham_quarantined} quarantined, of {counted.spam} spam {counted.spam_tagged} tagged "
        f"({_share(counted.spam_tagged, counted.spam)}) and {counted.spam_quarantined} quarantined"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}"
