"""How often each symbol about posing as somebody is found on the wanted mail of public lists: false alarms.

    python -m training.impersonation_report DIR [--jobs 2] [--show SYMBOL]

DIR holds `index` (TREC style: `ham data/x/1.eml`) and messages. Each is judged twice: as a list hands it on, from its
host, with a List-Id and SPF passing for the list; and as mail from a host of which nothing is known. The twenty authors
who wrote most are protected people, each with the two addresses that they wrote from most; the domain that most wrote
from is our own, the next one a partner's. Every author is a stranger to a memory that is old. Prints a table; with
`--show` what one symbol was found on.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from joblib import Parallel, delayed

from filterd.authentication import UNAUTHENTICATED, Authentication, AuthResult, SpfResult
from filterd.checks import CHECKS
from filterd.checks.identity import NAME_OTHER, REPLY_SAME_NAME
from filterd.checks.impersonation import SYMBOLS, ProtectSettings, words
from filterd.checks.links import OTHER_SITE, USERINFO
from filterd.checks.senders import STRANGER
from filterd.checks.site import SiteSettings, site_checks
from filterd.engine.loading import builtin_symbols, shipped_list
from filterd.facts import Facts, Seen
from filterd.mail import Envelope, Mail, Message, Origin, Source
from filterd.mail.domains import registrable
from filterd.ruleset import Ruleset, RulesSettings
from training.corpus import Item, read_index

LISTS = ("spamassassin", "list-nvdimm", "list-ntfs-dev", "list-oprofile", "list-usrp-users")
PEOPLE = 20
WATCHED = (*(one.name for one in (*SYMBOLS, NAME_OTHER, REPLY_SAME_NAME, OTHER_SITE, USERINFO, STRANGER)),
           "REPLYTO_FREEMAIL", "REPLYTO_OTHER_FREEMAIL", "FROM_BRAND_FREEMAIL")  # fmt: skip
LIST = Authentication(spf=SpfResult(AuthResult.PASS, "lists.listhost.org"))
HOST = Origin("192.0.2.25", "lists.listhost.org", "lists.listhost.org", Source.PEER)
PLACEHOLDERS = {"", "example.org", "example.com"}  # of the corpus
ID = b"List-Id: <list.lists.listhost.org>\r\n"
OLD = Seen(0.0, 0.0, 1_000_000)


def authors(items: Sequence[Item]) -> Iterator[tuple[str, str]]:
    """(name, address) of each message."""
    for item in items:
        for box in Message(item.path.read_bytes()).from_[:1]:
            yield box.name, box.address.lower()


def site_of(items: Sequence[Item]) -> SiteSettings:
    """Who is protected."""
    addresses: dict[str, Counter[str]] = defaultdict(Counter)
    domains: Counter[str] = Counter()
    for name, address in authors(items):
        if len(words(name)) > 1:
            addresses[name][address] += 1
        domains[registrable(address.rpartition("@")[2]) or ""] += 1
    shared = PLACEHOLDERS | set(shipped_list("freemail"))
    own, partner = [name for name, _ in domains.most_common() if name not in shared][:2]
    often = sorted(addresses, key=lambda name: -addresses[name].total())[:PEOPLE]
    people = [{"name": name, "addresses": [one for one, _ in addresses[name].most_common(2)]} for name in often]
    protect = ProtectSettings.model_validate({"people": people, "partners": [partner]})
    return SiteSettings(domains=(own,), protect=protect)


def mail_of(raw: bytes) -> Mail:
    message = Message(raw)
    envelope = Envelope(
        id="REPORT", received_at=message.date or datetime(2026, 1, 5, tzinfo=UTC), listener="report", peer=None,
        client=HOST, sender="list-bounces@lists.listhost.org", recipients=(),
    )  # fmt: skip
    return Mail(envelope, message, HOST)


def measure(items: Sequence[Item], site: SiteSettings) -> dict[tuple[str, bool], list[str]]:
    """What each symbol was found on, on lists and without."""
    checks = (*CHECKS, *site_checks(site, shipped_list("brand_domains"), frozenset(shipped_list("freemail"))))
    ruleset = Ruleset.load(RulesSettings(), builtin_symbols(site))
    facts = Facts(senders={"*": OLD})
    hits: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for item in items:
        raw = item.path.read_bytes()
        for mail, auth in ((mail_of(ID + raw), LIST), (mail_of(raw), UNAUTHENTICATED)):
            found = [finding for check in checks for finding in check(mail, facts, auth)]
            found += ruleset.judge(mail, facts, auth, found)
            for one in {one.name: one for one in found if one.name in WATCHED}.values():
                hits[one.name, auth is LIST].append(f"{item.path}: {one.detail}")
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", metavar="SYMBOL", help="what it was found on")
    given = parser.parse_args()
    items = [one for one in read_index(given.corpus) if not one.spam and one.source in LISTS]
    site = site_of(items)
    hits: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for part in Parallel(n_jobs=given.jobs)(
        delayed(measure)(items[at :: given.jobs], site) for at in range(given.jobs)
    ):
        for key, found in part.items():
            hits[key] += found
    if given.show:
        print("\n".join(hits[given.show, False]))
        return
    print(f"{len(items)} messages; own domain {site.domains[0]}, partner {site.protect.partners[0]}\n")
    print("| symbol | on a list | of all | not on a list | of all |\n|---|---|---|---|---|")
    for name in WATCHED:
        listed, bare = (len(hits[name, on]) for on in (True, False))
        print(f"| `{name}` | {listed} | {listed / len(items):.2%} | {bare} | {bare / len(items):.2%} |")


if __name__ == "__main__":
    main()
