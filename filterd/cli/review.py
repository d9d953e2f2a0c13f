"""`filterd review`: what people suggest that the site's model should learn: seen, accepted, rejected, undone."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_table, read_config
from filterd.cli.learn import Handle, learning
from filterd.cli.storing import LimitOption, SinceOption, chosen, local, moment, opened, print_array, who
from filterd.learning import Request, Result, Review
from filterd.printable import printable
from filterd.store import Suggestion, SuggestionFilter, SuggestionState, Way

if TYPE_CHECKING:
    from filterd.store import Store

SCREEN = 100  # rows that a terminal is shown without --limit
AT_ONCE = 250  # suggestions of one request
COLUMNS = ("id", "time", "what", "way", "reporter", "state", "doubt", "from", "subject")
_CLASSES = {"": None, "spam": True, "ham": False}

app = typer.Typer()

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Suggestions by id.")]
ClassOption = Annotated[str, typer.Option("--class", metavar="C", help="spam or ham.")]
WayOption = Annotated[str, typer.Option("--way", metavar="W", help=f"One of {', '.join(Way)}.")]
ReporterOption = Annotated[str, typer.Option("--reporter", metavar="R", help="Of this person.")]
DoubtfulOption = Annotated[
    bool, typer.Option("--doubtful", help="That contradict a confident model, and nobody looked at.")
]
TextOption = Annotated[
    str, typer.Option("--text", metavar="T", help="With this in the subject, From, an address or the message id.")
]
StateOption = Annotated[
    str, typer.Option("--state", metavar="S", help=f"One of {', '.join(SuggestionState)}, all; without it, pending.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say which suggestions it would be.")]


@app.command("list")
def list_(
    klass: ClassOption = "",
    way: WayOption = "",
    reporter: ReporterOption = "",
    doubtful: DoubtfulOption = False,
    text: TextOption = "",
    since: SinceOption = "",
    state: StateOption = "",
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The suggestions that wait, newest first. With `--doubtful` also those that were learnt at once."""
    wanted = selection(klass, way, reporter, doubtful, text, since, state)
    with opened(read_config(config)) as store:
        found = itertools.islice(store.suggestions.each(wanted), limit)
        if as_json:
            print_array(found)
        else:
            print_suggestions(found, None if limit or not sys.stdout.isatty() else SCREEN)


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Suggestions by id.")],
    raw: Annotated[bool, typer.Option("--raw", help="The message itself, as it was received.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One suggestion in full."""
    with opened(read_config(config)) as store:
        found = [existing(store, id_) for id_ in ids]
        if raw:
            for one in found:
                sys.stdout.flush()
                sys.stdout.buffer.write(message(store, one))
        elif as_json:
            print_array(found)
        else:
            for one in found:
                print_suggestion(one)


@app.command()
def accept(
    ids: IdsArgument = None,
    klass: ClassOption = "",
    way: WayOption = "",
    reporter: ReporterOption = "",
    doubtful: DoubtfulOption = False,
    text: TextOption = "",
    since: SinceOption = "",
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn what was suggested. Of what was learnt at once: it was looked at, and is right."""
    decide(
        Review.ACCEPT, ids, selection(klass, way, reporter, doubtful, text, since, ""), limit, dry_run, config, as_json
    )


@app.command()
def reject(
    ids: IdsArgument = None,
    klass: ClassOption = "",
    way: WayOption = "",
    reporter: ReporterOption = "",
    text: TextOption = "",
    since: SinceOption = "",
    limit: LimitOption = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it stands beside the suggestion.")] = "",
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn nothing of what was suggested. It can be undone or accepted later."""
    wanted = selection(klass, way, reporter, False, text, since, "")
    decide(Review.REJECT, ids, wanted, limit, dry_run, config, as_json, note)


@app.command()
def undo(
    ids: IdsArgument = None,
    klass: ClassOption = "",
    way: WayOption = "",
    reporter: ReporterOption = "",
    doubtful: DoubtfulOption = False,
    text: TextOption = "",
    since: SinceOption = "",
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what was learnt, by id or all that matches: the message has the label again that it had before. A
    rejection, by id, waits again."""
    wanted = selection(klass, way, reporter, doubtful, text, since, "accepted")
    decide(Review.UNDO, ids, wanted, limit, dry_run, config, as_json)


def decide(
    review: Review,
    ids: Sequence[str] | None,
    wanted: SuggestionFilter,
    limit: int | None,
    dry_run: bool,
    config: ConfigOption,
    as_json: bool,
    note: str = "",
) -> None:
    """Have the learning process decide about those that are named, or that match."""
    settings = read_config(config)
    with opened(settings) as store:
        found = named_or_matching(store, ids, wanted, limit)
    if dry_run:
        print_array(found) if as_json else print_suggestions(iter(found), None)
        return
    with learning(settings) as handle:
        results = list(_asked(handle, review, [one.id for one in found], note))
    done = [id_ for one in results for id_ in one.done]
    failed = [pair for one in results for pair in one.failed]
    if as_json:
        print_array([{"id": id_, "done": True, "why": ""} for id_ in done])
    for id_, why in failed:
        sys.stderr.write(f"{printable(id_)}: {why}\n")
    if not as_json:
        counts = f"; labels now: {results[-1].ham} ham, {results[-1].spam} spam" if results else ""
        sys.stdout.write(f"{len(done)} {_PAST[review]}{counts}\n")
    if failed:
        raise Fail(f"{len(failed)} of {len(found)} were not {_PAST[review]}")


def _asked(handle: Handle, review: Review, ids: Sequence[str], note: str) -> Iterator[Result]:
    for start in range(0, len(ids), AT_ONCE):
        yield handle(Request(review=review, ids=tuple(ids[start : start + AT_ONCE]), by=who(), text=note))


_PAST = {Review.ACCEPT: "accepted", Review.REJECT: "rejected", Review.UNDO: "undone"}


def selection(
    klass: str, way: str, reporter: str, doubtful: bool, text: str, since: str, state: str
) -> SuggestionFilter:
    """The filter that the options ask for."""
    if klass not in _CLASSES:
        raise Fail(f"--class {printable(klass)} is not one of spam, ham")
    if state == "all":
        states = tuple(SuggestionState)
    elif one := chosen(state, SuggestionState, "--state"):
        states = (one,)
    else:
        states = (SuggestionState.PENDING, *((SuggestionState.ACCEPTED,) if doubtful else ()))
    return SuggestionFilter(
        states=states,
        spam=_CLASSES[klass],
        way=chosen(way, Way, "--way"),
        reporter=reporter,
        doubtful=True if doubtful else None,
        text=text,
        since=moment(since, "--since"),
    )


def named_or_matching(
    store: Store, ids: Sequence[str] | None, wanted: SuggestionFilter, limit: int | None
) -> list[Suggestion]:
    """Those that were named, or that match; never all of them for want of a filter."""
    filtered = wanted != SuggestionFilter(states=wanted.states)
    if ids and filtered:
        raise Fail("name suggestions by id, or choose them by options, not both")
    if ids:
        return [existing(store, id_) for id_ in dict.fromkeys(ids)]
    if not filtered:
        raise Fail("name suggestions by id, or say which ones with an option such as --way, --reporter or --since")
    return list(itertools.islice(store.suggestions.each(wanted), limit))


def existing(store: Store, id_: str) -> Suggestion:
    one = store.suggestions.get(id_)
    if one is None:
        raise Fail(f"there is no suggestion {printable(id_)}")
    return one


def message(store: Store, one: Suggestion) -> bytes:
    raw = store.suggestions.raw(one.id)
    if raw is None:
        raise Fail(f"the message of {one.id} is gone")
    return raw


def print_suggestions(found: Iterator[Suggestion], screen: int | None) -> None:
    """A table; with `screen`, that many rows and a word that there are more."""
    shown = list(itertools.islice(found, screen)) if screen else found
    print_table(COLUMNS, (_row(one) for one in shown))
    if screen and next(found, None) is not None:
        sys.stderr.write(f"the newest {screen}; there are more, see --limit\n")


def print_suggestion(one: Suggestion) -> None:
    facts = dict(zip(COLUMNS, _row(one), strict=True)) | {
        "decided by": one.decided_by,
        "whose mail": one.address,
        "record": one.record,
        "item": one.item,
        "message id": one.message_id,
        "note": one.note,
    }
    for name, value in facts.items():
        if value:
            sys.stdout.write(f"{name:>10}  {printable(value)}\n")


def _row(one: Suggestion) -> tuple[str, ...]:
    when = local(one.time) if one.time else ""
    doubt = f"said {one.said:+.1f}" if one.doubtful else ""
    what = "spam" if one.spam else "ham"
    return one.id, when, what, one.way, one.reporter, one.state, doubt, one.from_, one.subject
