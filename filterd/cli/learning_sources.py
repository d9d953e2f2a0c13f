"""What `train` and `evaluate` share: where labelled messages are, how far it is, and what to be warned of."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.common import Fail
from filterd.cli.mailbox_sources import Mailboxes, mailbox_of
from filterd.cli.storing import opened
from filterd.learning.labelled import Sources
from filterd.mailboxes import is_mailbox
from filterd.printable import printable
from filterd.sources import Found, Item, Unreadable
from filterd.store import ItemState, QuarantineClass, QuarantineFilter

if TYPE_CHECKING:
    from filterd.classifier.leaks import Presence
    from filterd.config import Config

Stream = tuple[bool, Callable[[], Iterable[Item]]]  # spam?, and what gives the messages

SpamOption = Annotated[
    list[str] | None, typer.Option("--spam", metavar="PATH", help="Spam: a file, folder, mbox or Maildir. Repeatable.")
]
HamOption = Annotated[
    list[str] | None, typer.Option("--ham", metavar="PATH", help="Wanted mail: as --spam. Repeatable.")
]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="FILE", help="A line for each message, `spam PATH` or `ham PATH`, in their order."),
]
HistoryOption = Annotated[
    bool, typer.Option("--history", help="What people had released from quarantine, as ham; labels are learnt anyway.")
]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        min=0,
        max=256,
        metavar="N",
        help="Processes; 0 is one for each core.",
        callback=lambda jobs: jobs or len(os.sched_getaffinity(0)),
    ),
]
DaskOption = Annotated[
    str, typer.Option("--dask", metavar="ADDRESS", help="Read on the workers of this Dask scheduler (tcp://HOST:PORT).")
]

ON_CLUSTER = 64  # shards under way, where the cluster decides on which workers
_SHOWN = 5  # unreadable files that are named
_SKEWED = 20  # times more of one class than of the other


def given(
    spam: Sequence[str] | None,
    ham: Sequence[str] | None,
    index: Path | None,
    *,
    required: bool,
    mailboxes: Mailboxes | None = None,
    history: Config | None = None,
) -> Sources:
    """The sources that the options name; raises Fail where there must be some. A mailbox may stand for a path."""
    server = mailboxes or Mailboxes()
    urls = [(kind, url) for kind, paths in ((False, ham), (True, spam)) for url in paths or () if is_mailbox(url)]
    named = [(kind, mailbox_of(url)) for kind, url in urls] + server.named
    more: list[Stream] = [(kind, partial(server.read, mailbox)) for kind, mailbox in named]
    if history is not None:
        more.append((False, partial(released, history)))
    sources = Sources(
        spam=tuple(path for path in spam or () if not is_mailbox(path)),
        ham=tuple(path for path in ham or () if not is_mailbox(path)),
        index=index,
        more=tuple(more),
    )
    if required and not (sources.spam or sources.ham or sources.index or sources.more):
        raise Fail("give --index, --spam and --ham, a mailbox, or --history")
    return sources


def released(config: Config) -> Iterator[Item]:
    """The held messages that people had released, as they were received: ham, by their word."""
    wanted = QuarantineFilter(states=(ItemState.RELEASED,), klass=QuarantineClass.SPAM)
    with opened(config) as store:
        for item in store.quarantine.each(wanted):
            if (raw := store.quarantine.raw(item.id)) is not None:
                yield Found(f"quarantine/{item.id}", raw)


@contextlib.contextmanager
def counter(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Something to tell how many are done: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.update(task, completed=count)


@contextlib.contextmanager
def at_work(jobs: int, dask: str) -> Iterator[int]:
    """How many processes read, here or on a cluster. Raises Fail where there is no such cluster."""
    if not dask:
        yield jobs
        return
    from filterd.classifier.shards import on_cluster

    try:
        with on_cluster(dask):
            yield ON_CLUSTER
    except ModuleNotFoundError as error:
        raise Fail("a cluster needs Dask: pip install 'filterd[dask]'") from error
    except OSError as error:
        raise Fail(f"no Dask scheduler answers at {printable(dask)}") from error


def tell(unreadable: Sequence[Unreadable]) -> None:
    """On stderr: what could not be read, and why."""
    for one in unreadable[:_SHOWN]:
        sys.stderr.write(f"{printable(one.path)}: {one.why}\n")
    if len(unreadable) > _SHOWN:
        sys.stderr.write(f"and {len(unreadable) - _SHOWN} more that cannot be read\n")


def warn(seen: Presence, unreadable: Sequence[Unreadable]) -> None:
    """On stderr: what could not be read, classes out of balance, and header fields that give the label away."""
    tell(unreadable)
    if max(seen.spam, seen.ham) > _SKEWED * min(seen.spam, seen.ham):
        sys.stderr.write(f"{seen.ham} ham and {seen.spam} spam: the classes are far out of balance\n")
    for leak in seen.leaks():
        sys.stderr.write(
            f"the field {printable(leak.name)} alone tells {'spam' if leak.of_spam else 'ham'} (AUC {leak.auc}): "
            "does it come from the collection rather than from the mail?\n"
        )
