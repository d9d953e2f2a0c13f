"""How long people wait for each page with many rows: `python -m tests.bench.web_pages [ROWS] [FOLDER] [HISTORY]`.

Fills a store with ROWS records and as many held items (200,000 unless said), and with HISTORY records in all (see
`store_scale`), then asks for each page as a browser would, through the whole application: session, store, template. A
figure is the slowest of five, in ms, and in brackets the CPU's part of it, which other work on the machine leaves as it
is.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from argon2 import PasswordHasher

from filterd.frontends.web import Site
from filterd.store import Person, RetentionSettings, Role, Store, StoreError
from tests.bench.store_scale import DAYS, fill, lengthen, multiply, recount
from tests.frontends.web.visitor import PASSWORD, visitor

WRITTEN = 50_000  # rows that are made; the others are copies of them
PEOPLE = {
    "root": (Role.ADMIN, ()),
    "mo": (Role.MANAGER, ("@example.org",)),
    "ann": (Role.USER, ("user7@example.org", "user7@example.net")),
}
SEARCHES = {
    "the first page": "",
    "a common word": "invoice",
    "an absent word": "viagra",
    "two letters, absent": "qj",
    "a sender's domain": "from:bank7.example",
    "a finding": "found:RULE_007",
    "a finding and a word": "found:RULE_007 prize",
    "the last week": "since:7d",
    "a class": "class:virus",
}


def main(rows: int, folder: Path, history: int = 0) -> None:
    store = Store.open(folder, RetentionSettings(min_free=0))
    try:
        if not store.history.find(limit=1).rows:
            fill(store, min(rows, WRITTEN), DAYS * min(rows, WRITTEN) / rows)
            multiply(store, rows)
            lengthen(store, history)
            recount(store)
        kept = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
        for name, (role, addresses) in PEOPLE.items():
            if store.people.get(name) is None:
                store.people.add(Person(name=name, role=role, addresses=addresses), kept)
        measure(Site(store=store, secret=b"k" * 32), rows)
    except StoreError as error:
        sys.exit(str(error))
    finally:
        store.close()


def measure(site: Site, rows: int) -> None:
    item = site.store.quarantine.find(limit=1).rows[0]
    print(f"{rows:,} items; slowest of five, ms\n\n| page | {' | '.join(PEOPLE)} |\n|---|{'---|' * len(PEOPLE)}")
    browsers = [visitor(site, name) for name in PEOPLE]
    pages = [(f"quarantine: {what}", f"/quarantine?q={q}") for what, q in SEARCHES.items()]
    pages += [(f"history: {what}", f"/history?q={q}") for what, q in SEARCHES.items() if not q.startswith("class")]
    pages += [("message", f"/quarantine/{item.id}"), ("record", f"/history/{item.record}"), ("overview", "/overview"),
              ("senders", "/senders"), ("review", "/review"), ("audit", "/audit")]  # fmt: skip
    for name, path in pages:
        waits = []
        for browser in browsers:
            took = []
            for _ in range(5):
                began, cpu = time.perf_counter(), time.process_time()
                answer = browser.get(path)
                took.append(((time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3))
            waits.append("{:.0f} ({:.0f})".format(*max(took)) if answer.status_code == 200 else "-")
        print(f"| {name} | {' | '.join(waits)} |")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    if len(sys.argv) > 2:
        main(count, Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(count, Path(temporary))
