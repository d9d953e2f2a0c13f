"""How long a month of records takes to judge again: `python tests/bench/replay_speed.py [ROWS]`.

Judges the messages of the rules' own cases, writes ROWS (100,000 unless said) records of them into a new store as the
service does, and runs `filterd rules replay --json` on them: with another score, and with another configuration that
has policies and an access list. Prints the seconds of each, and of the processor, which is what a busy machine gives.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from filterd.app.scan import Said, Scanned, scan
from filterd.config import load
from filterd.ids import new_id
from filterd.record import Record
from filterd.resources import shipped
from filterd.sources import Found, wire_form
from filterd.store import RetentionSettings, Store
from filterd.value import replace

POLICIES = """
policies:
  - {name: soft, recipients: ["*@example.org"], rules_off: [DATE_MISSING], thresholds: {tag: 3}, languages: [en]}
access: [deny bad.example, allow good.example]
"""


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config, other = Path(folder, "filterd.yaml"), Path(folder, "new.yaml")
        config.write_text(
            f"hostname: mx.example.org\ndomains: [example.org]\nstate: {folder}/state\nrules: {{paths: []}}\n"
        )
        other.write_text(config.read_text() + POLICIES)
        asyncio.run(fill(config, other, rows))
        scores = Path(folder, "scores.yaml")
        scores.write_text("DATE_MISSING: 0.3\nLEARNT_SPAM: 2.5\n")
        for option, file in (("--scores", scores), ("--new-config", other)):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            found = json.loads(subprocess.check_output(
                [sys.executable, "-m", "filterd", "rules", "replay", "-c", config, option, file, "--json"]
            ))  # fmt: skip
            sys.stdout.write(
                f"{option}: {found['judged']} records in {found['seconds']:.1f} s, "
                f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before:.1f} s of the processor; "
                f"exact {sum(found['exact'].values())}, flips {found['flips']}\n"
            )


async def fill(config: Path, other: Path, rows: int) -> None:
    """`other` is under what the records are made, so that they say which language they are in."""
    paths = sorted((shipped("rules") / "cases").glob("*.eml"))
    items = [Found(path.name, wire_form(path.read_bytes())) for path in paths]
    made = [one.record async for one in scan(items, load(other), Said(), offline=True) if isinstance(one, Scanned)]
    store = Store.open(Path(load(config).config.state), RetentionSettings(min_free=0))
    now = datetime.datetime.now(datetime.UTC)
    for number, record in zip(range(rows), itertools.cycle(made), strict=False):
        store.write(moved(record, now - datetime.timedelta(seconds=20 * number)))
        if number % 1_000 == 0:
            await store.flush()
    await store.flush()
    store.close()


def moved(record: Record, at: datetime.datetime) -> Record:
    """The same mail at another time."""
    return replace(record, id=new_id(), envelope=replace(record.envelope, received_at=at))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
