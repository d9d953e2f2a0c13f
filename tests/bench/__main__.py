"""How fast it is, and where the time goes: python -m tests.bench [--count N] [--write]   (`make bench`).

Messages: of the labelled corpus (FILTERD_CORPUS), evenly over its years, or generated where there is none; and
generated ones of 5 KB, which the aims are stated for. Each stage is run by itself in one process, with whom it talks to
(client, name server, next hop) in others, and its CPU time is that process's. The whole service is run on one core and
on two.
`--write` writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from pathlib import Path

import uvloop

from tests.bench import doors_cost, stages, who, whole
from tests.bench.messages import from_corpus, generated

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
AIMS = {
    "SMTP in": 0.7,
    "read": 0.5,
    "ask and authenticate": 1.0,
    "rules": 0.4,
    "features and score": 0.8,
    "record": 0.3,
    "SMTP out": 0.3,
}

_TEXT = """# Performance

Made by `make bench ARGS=--write`, on {machine}. CPU milliseconds for one message, by
stage; DNS is answered on the same machine. The aims are for a message of 5 KB without a signature and 300 rules; there
are {rules} rules here.

| stage | aim | {names} |
|---|---|{dashes}|
{stages}

`ask` is the cost of asking and hearing, `authenticate` of judging what was heard, with every signature verified.

The whole service, from the client's connection to the next hop's reply, with SQLite, a record of every message and one
worker for each core; clients, name server and next hop are on the same cores when there are no others:

| messages | cores | messages a second | CPU ms in the mail process | CPU ms in the workers |
|---|---|---|---|---|
{whole}

What a door costs by itself, CPU ms of the mail process for a message of 5 KB with nothing judged
(`python tests/bench/doors_cost.py`); `kept`: all messages of a client on one connection, else each on its own:

| door | CPU ms |
|---|---|
{doors}

What it costs to know who sent it, beside authentication, with three lists and answers that the DNS cache has: CPU ms
for a message (`python -m tests.bench.who`; the bound is 0.8):

| part | {names} |
|---|---|{dashes}|
{senders}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    count, folder = arguments.count, os.environ.get("FILTERD_CORPUS")
    sets = {"5 KB": generated(count, 5_000)}
    name = f"{count} of the corpus" if folder else f"{count} generated, 1 to 60 KB"
    sets[name] = from_corpus(Path(folder), count) if folder else generated(count, None)
    named = {f"{name} ({sum(map(len, raws)) / len(raws) / 1000:.0f} KB)": raws for name, raws in sets.items()}

    columns = {}
    for name, raws in named.items():
        with tempfile.TemporaryDirectory() as scratch:
            columns[name] = asyncio.run(stages.measure(raws, Path(scratch)))
        print(name, columns[name], flush=True)
    rows = []
    for name, raws in named.items():
        for cores in (1, 2):
            with tempfile.TemporaryDirectory() as scratch:
                found = whole.measure(raws, Path(scratch), cores)
            rows.append(f"| {name} | {cores} | {found.rate:.0f} | {found.mail:.1f} | {found.workers:.1f} |")
            print(rows[-1], flush=True)
    doors = {door: uvloop.run(doors_cost.measure(door, 4 * count)).milliseconds for door in doors_cost.DOORS}
    page = _TEXT.format(
        machine=f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, CPython {platform.python_version()}",
        rules=stages.rule_count(),
        names=" | ".join(columns),
        dashes="---|" * (len(columns) - 1) + "---",
        stages="\n".join(_stage_rows(list(columns.values()))),
        whole="\n".join(rows),
        senders="\n".join(_sender_rows([who.measure(raws) for raws in named.values()])),
        doors="\n".join(f"| {door} | {cost:.2f} |" for door, cost in doors.items()),
    )
    print(page)
    if arguments.write:
        _, *others = PAGE.read_text("utf-8").partition("\n## ")  # sections that other benchmarks wrote
        PAGE.write_text(page + "".join(others))


def _sender_rows(columns: list[dict[str, float]]) -> list[str]:
    together = [one | {"together": sum(one.values())} for one in columns]
    return [f"| {part} | {' | '.join(f'{column[part]:.3f}' for column in together)} |" for part in together[0]]


def _stage_rows(columns: list[dict[str, float]]) -> list[str]:
    rows = []
    for stage in columns[0]:
        figures = " | ".join(f"{column[stage]:.2f}" for column in columns)
        aim = AIMS.get(stage)
        rows.append(f"| {stage} | {'' if aim is None else aim} | {figures} |")
    totals = " | ".join(f"{sum(v for k, v in one.items() if not k.startswith('- ')):.2f}" for one in columns)
    rows.append(f"| all | {sum(AIMS.values()):.1f} | {totals} |")
    return rows


if __name__ == "__main__":
    main()
