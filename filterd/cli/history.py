"""`filterd history`: what became of each message, and why."""

from __future__ import annotations

import datetime
import itertools
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_table, read_config
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
    local,
    moment,
    opened,
    print_array,
)
from filterd.decision import Action
from filterd.findings import total
from filterd.printable import printable
from filterd.record import Record, Verdict
from filterd.store import HistoryFilter, HistoryRow

if TYPE_CHECKING:
    from filterd.store import Store

SCREEN = 100  # rows that a terminal is shown without --limit
EVERYBODY = "everybody"  # for whom a mail was refused before its first recipient
COLUMNS = ("id", "time", "action", "reason", "score", "sender", "recipients", "subject")

app = typer.Typer()

IdsArgument = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Records by id, as the log, X-Filterd-Id and our replies name them."),
]


@app.command()
def find(
    text: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="In the subject, From, an address or the message id.")
    ] = "",
    action: Annotated[str, typer.Option("--action", metavar="A", help=f"One of {', '.join(Action)}.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="With this reason constant.")] = "",
    finding: FindingOption = "",
    ruleset: RulesetOption = "",
    model: ModelOption = "",
    sender: SenderOption = "",
    recipient: RecipientOption = "",
    message_id: MessageIdOption = "",
    queue_id: Annotated[str, typer.Option("--queue-id", metavar="ID", help="The mail server's queue id.")] = "",
    client: Annotated[str, typer.Option("--client", metavar="A", help="From this client address.")] = "",
    direction: Annotated[str, typer.Option("--direction", metavar="D", help="inbound, outbound, internal.")] = "",
    listener: Annotated[str, typer.Option("--listener", metavar="L", help="Came in by this listener.")] = "",
    campaign: Annotated[
        str, typer.Option("--campaign", metavar="ID", help="With nearly this text: see filterd campaigns.")
    ] = "",
    contains: TextOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    limit: LimitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Messages, newest first, whatever became of them."""
    if text and contains:
        raise Fail("say what to search for once, as TEXT or with --text")
    wanted = HistoryFilter(
        action=chosen(action, Action, "--action"),
        reason=reason,
        finding=finding,
        ruleset=ruleset,
        model=model,
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        queue_id=queue_id,
        client=client,
        direction=direction,
        listener=listener,
        campaign=campaign,
        text=text or contains,
        since=moment(since, "--since"),
        until=moment(until, "--until"),
    )
    with opened(read_config(config)) as store:
        found = itertools.islice(store.history.each(wanted), limit)
        if as_json:
            print_array(found)
        else:
            print_rows(found, None if limit or not sys.stdout.isatty() else SCREEN)


@app.command()
def show(ids: IdsArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everything that is known about a message: the whole record."""
    settings = read_config(config)
    with opened(settings) as store:
        found = [existing(store, id_) for id_ in ids]
    if as_json:
        print_array(whole(record, settings.hostname) for record in found)
        return
    for record in found:
        sys.stdout.write(json.dumps(outline(record), indent=2) + "\n")


@app.command()
def explain(ids: IdsArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Why: the decisions in words, and the findings that add up to the score."""
    from filterd.app.remembered import remembered
    from filterd.app.report import as_json as reported

    settings, now = read_config(config), datetime.datetime.now(datetime.UTC)
    with opened(settings) as store:
        found = [(record := existing(store, id_), remembered(store, record, settings, now)) for id_ in ids]
    if as_json:
        print_array(
            reported("", record, settings.hostname, explain=True) | {"senders": known} for record, known in found
        )
        return
    for record, known in found:
        envelope = record.envelope
        sys.stdout.write(f"{record.id}  {local(envelope.received_at)}  {printable(record.outline.subject)}\n")
        explanation(record)
        for one in known:
            sys.stdout.write(printable(f"remembered now: {one}") + "\n")


def explanation(record: Record) -> None:
    """The decisions as sentences, then a table of findings whose last line is their sum, the score.

    Where a policy makes it another for some recipients, a table for these as well.
    """
    for one in record.decisions:
        would = f" (would be {one.would})" if one.would else ""
        line = f"{one.recipient or EVERYBODY}: {one.action}{would}, {one.reason}. {one.text}"
        sys.stdout.write(printable(line) + "\n")
    for sent in record.deliveries:
        said = f": {sent.reply}" if sent.reply else ""
        item = f", item {sent.item}" if sent.item else ""
        sys.stdout.write(printable(f"{sent.recipient or EVERYBODY}: {sent.fate}{item}{said}") + "\n")
    if record.error:
        sys.stdout.write(printable(f"error: {record.error}") + "\n")
    _findings(record.verdict)
    for (policy, alone), recipients in _apart(record).items():
        under = f", under the policy {policy}" if policy else ""
        sys.stdout.write(printable(f"for {', '.join(recipients)}{under}:") + "\n")
        _findings(record.verdict.under(policy, alone))


def _apart(record: Record) -> dict[tuple[str, str], list[str]]:
    """For whom the verdict is another: the policy, and the recipient where it is another for him alone."""
    alone = {one.recipient for one in record.verdict.apart if one.recipient}
    found: dict[tuple[str, str], list[str]] = {}
    for one in record.decisions:
        if record.verdict_of(one) is not record.verdict:
            key = one.policy, one.recipient if one.recipient in alone else ""
            found.setdefault(key, []).append(one.recipient)
    return found


def _findings(verdict: Verdict) -> None:
    findings = sorted(verdict.findings, key=lambda one: -one.points)
    rows = [
        (f"{one.score:+.2f}", one.name, f"{one.about} {f'({one.detail})' if one.detail else ''}".strip())
        for one in findings
    ]
    rows.append((f"{total(findings) / 100:.2f}", "score", "the sum"))
    print_scores(rows)


def print_scores(rows: list[tuple[str, str, str]]) -> None:
    """Three columns, the first aligned to the right. Text from strangers is shown, not obeyed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else 10_000, highlight=False).print(table)


def whole(record: Record, hostname: str) -> dict[str, Any]:
    """What `filterd scan --json` says of a message, and the rest of its record."""
    from filterd.app.report import as_json as reported

    said = reported("", record, hostname, explain=True)
    del said["path"]
    return outline(record) | said


def outline(record: Record) -> dict[str, Any]:
    """The record itself, as plain values; bytes of DNS answers as text."""
    plain: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(bytes,), enc_hook=str)
    return {name: _readable(value) for name, value in plain.items()}


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {name: _readable(one) for name, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list | tuple) else value


def existing(store: Store, id_: str) -> Record:
    record = store.history.show(id_)
    if record is None:
        raise Fail(f"there is no record {printable(id_)}")
    return record


def print_rows(found: Iterator[HistoryRow], screen: int | None) -> None:
    """A table; with `screen`, that many rows and a word that there are more."""
    shown = list(itertools.islice(found, screen)) if screen else found
    print_table(COLUMNS, (row(one) for one in shown))
    if screen and next(found, None) is not None:
        sys.stderr.write(f"the newest {screen}; there are more, see --limit\n")


def row(one: HistoryRow) -> tuple[str, ...]:
    recipients = " ".join(one.recipients)
    score = f"{one.score:.2f}"
    return (
        one.id,
        local(one.time),
        one.action,
        one.reason,
        score,
        one.sender or "<>",
        recipients,
        one.subject,
    )
