"""What the commands on the store share: opening it, choosing among its rows, and reading times.

A `StoreError` inside `opened` ends the command with its sentence.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from filterd.cli.common import Fail
from filterd.printable import printable
from filterd.settings import parse_duration
from filterd.store import StoreError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.store import Store

T = TypeVar("T")

FindingOption = Annotated[str, typer.Option("--finding", metavar="NAME", help="With this finding.")]
RulesetOption = Annotated[str, typer.Option("--ruleset", metavar="HASH", help="Judged under this rule set.")]
ModelOption = Annotated[str, typer.Option("--model", metavar="ID", help="Judged by this model.")]
SenderOption = Annotated[
    str, typer.Option("--sender", metavar="S", help="From this envelope sender: an address, or a domain.")
]
RecipientOption = Annotated[
    str, typer.Option("--recipient", metavar="R", help="For this recipient: an address, or a domain.")
]
TextOption = Annotated[
    str,
    typer.Option("--text", metavar="T", help="With this in the subject, From, an address or the message id."),
]
MessageIdOption = Annotated[str, typer.Option("--message-id", metavar="ID", help="With this Message-ID.")]
SinceOption = Annotated[
    str, typer.Option("--since", metavar="T", help="Not older: 2h, 7d, or a date as 2026-01-31T12:00.")
]
UntilOption = Annotated[str, typer.Option("--until", metavar="T", help="Older: as --since.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many, newest first.")]


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Store]:
    """The configured store; closed at the end."""
    from filterd.store import Store

    try:
        store = Store.open(config.store, config.retention)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise Fail(str(error)) from error


def moment(text: str, option: str, now: datetime.datetime | None = None) -> datetime.datetime | None:
    """The time that an option names: so long ago, or a date, which is local unless it says otherwise."""
    if not text:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        return (now or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(seconds=parse_duration(text))
    try:
        named = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Fail(f"{option} {printable(text)} is neither an age, as 7d, nor a date, as 2026-01-31") from None
    return named.astimezone(datetime.UTC)


def chosen(word: str, among: type[T], option: str) -> T | None:
    """The value of an enum that an option names; None for an empty word."""
    if not word:
        return None
    try:
        return among(word)  # type: ignore[call-arg]
    except ValueError:
        known = ", ".join(one.value for one in among)  # type: ignore[attr-defined]
        raise Fail(f"{option} {printable(word)} is not one of {known}") from None


def who() -> str:
    """The person at the terminal, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def local(time: datetime.datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def print_array(values: Iterable[Any]) -> None:
    """A JSON array, one element on a line, written as they come."""
    lead = "["
    for value in values:
        sys.stdout.write(f"{lead}{json.dumps(msgspec.to_builtins(value), allow_nan=False)}")
        lead = ",\n"
    sys.stdout.write("]\n" if lead != "[" else "[]\n")
