"""Items of the quarantine as a person at a terminal reads them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from filterd.cli.common import print_table
from filterd.cli.history import explanation
from filterd.cli.storing import local, print_array
from filterd.printable import printable
from filterd.store import QuarantineItem

if TYPE_CHECKING:
    from filterd.store import Store

SCREEN = 100  # rows that a terminal is shown without --limit
COLUMNS = ("id", "time", "class", "state", "score", "sender", "recipient", "subject")


def show_chosen(items: Sequence[QuarantineItem], as_json: bool) -> None:
    if as_json:
        print_array(items)
        return
    print_items(iter(items), None)
    sys.stderr.write(f"{len(items)} items\n")


def print_items(items: Iterator[QuarantineItem], screen: int | None) -> None:
    """A table; with `screen`, that many rows and a word that there are more."""
    shown = list(itertools.islice(items, screen)) if screen else items
    print_table(COLUMNS, (row(item) for item in shown))
    if screen and next(items, None) is not None:
        sys.stderr.write(f"the newest {screen}; there are more, see --limit\n")


def row(item: QuarantineItem) -> tuple[str, ...]:
    score = f"{item.score:.2f}"
    return (
        item.id,
        local(item.time),
        item.klass,
        item.state,
        score,
        item.sender or "<>",
        item.recipient,
        item.subject,
    )


def print_item(store: Store, item: QuarantineItem) -> None:
    """One item in full."""
    by = f" by {item.state_by}" if item.state_by else ""
    facts = {
        "item": item.id,
        "record": item.record,
        "time": local(item.time),
        "class": item.klass,
        "state": f"{item.state} since {local(item.state_at)}{by}",
        "sender": item.sender or "<>",
        "recipient": item.recipient,
        "from": item.from_,
        "subject": item.subject,
        "message id": item.message_id,
        "client": item.client,
        "size": f"{item.size} bytes",
        "why": item.text,
        "next hop": item.reply,
        "next try": local(item.due) if item.due else "",
    }
    for name, value in facts.items():
        if value:
            sys.stdout.write(f"{name:>10}  {printable(value)}\n")
    record = store.history.show(item.record)
    if record is not None:
        explanation(record)
    else:
        sys.stdout.write(f"{'findings':>10}  {' '.join(item.findings)}\n{'score':>10}  {item.score:.2f}\n")
