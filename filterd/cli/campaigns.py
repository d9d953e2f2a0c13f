"""`filterd campaigns`: texts that came many times, nearly the same; shown, and forgotten when they do no harm."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, print_table, read_config
from filterd.cli.history import COLUMNS, row
from filterd.cli.storing import local, opened, print_array, who
from filterd.printable import printable
from filterd.store import Campaign, HistoryFilter

if TYPE_CHECKING:
    from filterd.store import Store

app = typer.Typer()

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A campaign, as list names it.")]
IdsArgument = Annotated[list[str], typer.Argument(metavar="ID...", help="Campaigns, as list names them.")]


@app.command(name="list")
def list_(
    least: Annotated[int, typer.Option("--least", min=1, metavar="N", help="That came at least so often.")] = 5,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The texts that came most often since they are remembered (`retention.texts`), the most frequent first."""
    with opened(read_config(config)) as store:
        found = store.memory.campaigns(least, limit)
    if as_json:
        print_array(found)
    else:
        print_table(("id", "times", "spam", "first", "last", "subject"), map(_line, found))


@app.command()
def show(
    id_: IdArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many messages.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One campaign, and the newest of its messages."""
    with opened(read_config(config)) as store:
        one = _existing(store, id_)
        messages = list(itertools.islice(store.history.each(HistoryFilter(campaign=id_)), limit))
    if as_json:
        print_json(msgspec.to_builtins({"campaign": one, "messages": messages}))
        return
    sys.stdout.write(
        f"{one.id}  {printable(one.subject)}\n{one.seen} times, {one.spam} of them spam, "
        f"from {local(one.first)} to {local(one.last)}\n"
    )
    print_table(COLUMNS, map(row, messages))


@app.command()
def forget(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Forget what these count: the next of their messages is the first again. The running service knows at once."""
    with opened(read_config(config)) as store:
        for one in [_existing(store, id_) for id_ in ids]:
            store.memory.forget(one.id)
            store.audit.write(who(), "campaign-forgotten", one.id, one.subject)


def _existing(store: Store, id_: str) -> Campaign:
    found = store.memory.campaigns(id_=id_)
    if not found:
        raise Fail(f"there is no campaign {printable(id_)}")
    return found[0]


def _line(one: Campaign) -> tuple[object, ...]:
    return one.id, one.seen, one.spam, local(one.first), local(one.last), one.subject
