"""`filterd quarantine`: what is held back, seen, released, deleted and learnt from, one by one or in bulk."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_table, read_config
from filterd.cli.quarantine_shown import SCREEN, print_item, print_items, show_chosen
from filterd.cli.storing import (
    FindingOption,
    LimitOption,
    MessageIdOption,
    ModelOption,
    RecipientOption,
    RulesetOption,
    SenderOption,
    SinceOption,
    TextOption,
    UntilOption,
    chosen,
    moment,
    opened,
    print_array,
    who,
)
from filterd.learning import Klass, Request
from filterd.printable import printable
from filterd.store import OPEN, ItemState, QuarantineClass, QuarantineFilter, QuarantineItem, Way
from filterd.value import Value

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.release import Release
    from filterd.store import Store

app = typer.Typer()

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Items by id.")]
_CLASSES, _STATES = ", ".join(QuarantineClass), ", ".join(ItemState)
ClassOption = Annotated[str, typer.Option("--class", metavar="C", help=f"One of {_CLASSES}.")]
StateOption = Annotated[
    str, typer.Option("--state", metavar="S", help=f"One of {_STATES}, all; without it, what is held.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say which items it would be.")]


class Done(Value):
    """What became of one item."""

    id: str
    fate: str
    text: str = ""


@app.command("list")
def list_(
    finding: FindingOption = "",
    ruleset: RulesetOption = "",
    model: ModelOption = "",
    sender: SenderOption = "",
    recipient: RecipientOption = "",
    text: TextOption = "",
    message_id: MessageIdOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    klass: ClassOption = "",
    state: StateOption = "",
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The items that are held, newest first."""
    wanted = selection(finding, ruleset, model, sender, recipient, text, message_id, since, until, klass, state)
    with opened(read_config(config)) as store:
        found = itertools.islice(store.quarantine.each(wanted), limit)
        if as_json:
            print_array(found)
        else:
            print_items(found, None if limit or not sys.stdout.isatty() else SCREEN)


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Items by id.")],
    raw: Annotated[bool, typer.Option("--raw", help="The message itself, as it was received.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One item in full, and why it is there."""
    with opened(read_config(config)) as store:
        for item in (found := [existing(store, id_) for id_ in ids]):
            if raw:
                sys.stdout.flush()
                sys.stdout.buffer.write(message(store, item))
            elif not as_json:
                print_item(store, item)
        if as_json and not raw:
            print_array(found)


@app.command()
def release(
    ids: IdsArgument = None,
    finding: FindingOption = "",
    ruleset: RulesetOption = "",
    model: ModelOption = "",
    sender: SenderOption = "",
    recipient: RecipientOption = "",
    text: TextOption = "",
    message_id: MessageIdOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    klass: ClassOption = "",
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver items to the recipients that they were held for. They stay until the next hop has them."""
    wanted = selection(finding, ruleset, model, sender, recipient, text, message_id, since, until, klass, "")
    settings = read_config(config)
    with opened(settings) as store:
        items = named_or_matching(store, ids, wanted, limit)
        if dry_run:
            show_chosen(items, as_json)
            return
        fates = asyncio.run(deliver(settings, store, [item.id for item in items]))
    report([Done(one.item, one.fate, one.text) for one in fates], as_json, "released")


@app.command()
def delete(
    ids: IdsArgument = None,
    finding: FindingOption = "",
    ruleset: RulesetOption = "",
    model: ModelOption = "",
    sender: SenderOption = "",
    recipient: RecipientOption = "",
    text: TextOption = "",
    message_id: MessageIdOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    klass: ClassOption = "",
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete items. Their messages go within the hour, or with `filterd quarantine expire`."""
    wanted = selection(finding, ruleset, model, sender, recipient, text, message_id, since, until, klass, "")
    with opened(read_config(config)) as store:
        items = named_or_matching(store, ids, wanted, limit)
        if dry_run:
            show_chosen(items, as_json)
            return
        gone = set(store.quarantine.delete([item.id for item in items], who()))
    fates = [
        Done(item.id, "deleted") if item.id in gone else Done(item.id, "kept", f"it is {item.state}") for item in items
    ]
    report(fates, as_json, "deleted")


@app.command()
def learn(
    klass: Annotated[Klass, typer.Argument(metavar="spam|ham|forget", help="What the messages are.")],
    ids: IdsArgument = None,
    finding: FindingOption = "",
    ruleset: RulesetOption = "",
    model: ModelOption = "",
    sender: SenderOption = "",
    recipient: RecipientOption = "",
    text: TextOption = "",
    message_id: MessageIdOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    klass_of_item: ClassOption = "",
    state: StateOption = "",
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach the site's model by held messages; `filterd review` shows what was taught, and undoes it."""
    from filterd.cli.learn import became, learning

    wanted = selection(finding, ruleset, model, sender, recipient, text, message_id, since, until, klass_of_item, state)
    settings = read_config(config)
    with opened(settings) as store:
        items = named_or_matching(store, ids, wanted, limit)
        if dry_run:
            show_chosen(items, as_json)
            return
        fates = []
        with learning(settings) as handle:
            for item in items:
                raw = store.quarantine.raw(item.id)
                if raw is None:
                    fates.append(Done(item.id, "refused", "its message is gone"))
                    continue
                result = handle(lesson(klass, item, raw))
                fates.append(
                    Done(item.id, "refused" if result.refused else "done", result.why or became(result, klass))
                )
    report(fates, as_json, "done")


@app.command()
def digest(dry_run: DryRunOption = False, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Send the digest mails that are due now; `filterd serve` does it by itself."""
    import asyncio

    from filterd.app.digests import Sent, send_due
    from filterd.app.state import StateError

    async def send(store: Store) -> list[Sent]:
        return [one async for one in send_due(store, settings, dry_run=dry_run)]

    settings = read_config(config)
    with opened(settings) as store:
        try:
            done = asyncio.run(send(store))
        except (StateError, ValueError) as error:
            raise Fail(str(error)) from error
    if as_json:
        print_array(done)
    else:
        print_table(
            ("person", "to", "messages", "reply"), [(one.person, one.recipient, one.items, one.reply) for one in done]
        )
    if not dry_run and (failed := [one for one in done if not one.sent]):
        raise Fail(f"{len(failed)} of {len(done)} digests were not taken; {printable(failed[0].reply)}")


@app.command()
def expire(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let retention take its part now, and let go of the messages of deleted items."""
    with opened(read_config(config)) as store:
        items = records = bodies = 0
        more = True
        while more:
            went = store.expire(grace=0)
            items, records, bodies = items + went.items, records + went.records, bodies + went.bodies
            more = went.more
    if as_json:
        print_array([{"items": items, "records": records, "messages": bodies}])
    else:
        sys.stdout.write(f"{items} items, {records} records and {bodies} messages went\n")


def selection(
    finding: str,
    ruleset: str,
    model: str,
    sender: str,
    recipient: str,
    text: str,
    message_id: str,
    since: str,
    until: str,
    klass: str,
    state: str,
) -> QuarantineFilter:
    """The filter that the options ask for."""
    states = tuple(ItemState) if state == "all" else OPEN
    if state and state != "all" and (one := chosen(state, ItemState, "--state")):
        states = (one,)
    return QuarantineFilter(
        states=states,
        klass=chosen(klass, QuarantineClass, "--class"),
        finding=finding,
        ruleset=ruleset,
        model=model,
        sender=sender,
        recipient=recipient,
        text=text,
        message_id=message_id,
        since=moment(since, "--since"),
        until=moment(until, "--until"),
    )


def named_or_matching(
    store: Store, ids: Sequence[str] | None, wanted: QuarantineFilter, limit: int | None
) -> list[QuarantineItem]:
    """The items that were named, or those that match; never all of them for want of a filter."""
    filtered = wanted != QuarantineFilter()
    if ids and filtered:
        raise Fail("name items by id, or choose them by options, not both")
    if ids:
        return [existing(store, id_) for id_ in dict.fromkeys(ids)]
    if not filtered:
        raise Fail("name items by id, or say which ones with an option such as --finding or --since")
    return list(itertools.islice(store.quarantine.each(wanted), limit))


def existing(store: Store, id_: str) -> QuarantineItem:
    item = store.quarantine.get(id_)
    if item is None:
        raise Fail(f"there is no item {printable(id_)}")
    return item


def message(store: Store, item: QuarantineItem) -> bytes:
    raw = store.quarantine.raw(item.id)
    if raw is None:
        raise Fail(f"the message of {item.id} is gone; the item was {item.state}")
    return raw


def lesson(klass: Klass, item: QuarantineItem, raw: bytes) -> Request:
    """The postmaster's word about an item."""
    way = None if klass is Klass.FORGET else Way.BUTTON
    return Request(
        klass=klass,
        raw=raw,
        by=who(),
        way=way,
        trusted=True,
        record=item.record,
        item=item.id,
        address=item.recipient,
    )


async def deliver(config: Config, store: Store, ids: Iterable[str]) -> list[Release]:
    """Release items through the configured relay."""
    from filterd.app.hops import Hops, release_url
    from filterd.app.state import StateError, prepare
    from filterd.release import release as deliver_items

    url = release_url(config)
    if url is None:
        raise Fail("nothing says where released mail goes: set release.relay")
    hops = Hops()
    try:
        hop, key = hops.give(config, url), prepare(Path(config.state))
        return await deliver_items(store, hop, ids, who(), key)
    except (StateError, ValueError, OSError) as error:
        raise Fail(str(error)) from error
    finally:
        await hops.aclose()


def report(fates: Sequence[Done], as_json: bool, wished: str) -> None:
    """Say what became of each item; fails when one of them did not do as was wished."""
    if as_json:
        print_array(fates)
    else:
        for one in fates:
            sys.stdout.write(f"{one.id}\t{one.fate}\t{printable(one.text)}".rstrip("\t") + "\n")
    failed = [one for one in fates if one.fate != wished]
    if failed:
        sys.stdout.flush()
        first = f"{failed[0].id}: {failed[0].fate}, {failed[0].text}"
        raise Fail(f"{len(failed)} of {len(fates)} were not {wished}; {printable(first)}")
