"""DMARC against two other implementations, on a thousand made-up zones; every disagreement is known, and told here.

`checkdmarc` walks the tree over the same name server, and reads records. It is a linter for owners of domains:

- it refuses a record for a report address, or a tag, that receivers ignore or replace (RFC 9989 sections 4.7, 4.10.1);
- of several records at one name it says that there are several, and gives up; section 4.10 discards them, walks on.

`dmarc` reads records and judges alignment and policy, when it is told the organizational domain. It knows RFC 7489:

- it wants a p=, and refuses what section 4.10.1 takes for p=none; it knows neither np= nor psd=;
- it walks no tree, so that only parents and children are of one organization to it, whatever psd= says.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import dmarc as other
import pytest
from checkdmarc import dmarc as checkdmarc
from dns.resolver import Resolver

from filterd.auth import dmarc, questions
from filterd.auth.dmarc import parse_record
from filterd.authentication import AuthResult, DkimResult, DmarcResult, SpfResult
from filterd.facts import DnsStatus, Facts
from filterd.net import Dns, DnsSettings
from filterd.probes import gather
from tests.auth.mails import answered, mail
from tests.nameserver import NameServer

ZONES = 1_000
POLICIES = ("none", "quarantine", "reject")


@dataclass
class Tree:
    """One author domain, with what is published on the way up from it."""

    author: str
    records: dict[str, list[str]] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        return any(len(found) > 1 for found in self.records.values())


def made_up(chance: random.Random, *, plain: bool = False) -> str:
    """A record; a `plain` one is what everybody agrees to be one."""

    def policy() -> str:
        return chance.choice(POLICIES if plain else (*POLICIES * 8, "REJECT", "bogus", ""))

    versions = ["v=DMARC1"] if plain else ["v=DMARC1"] * 20 + ["v=DMARC2", "V=DMARC1", "v= DMARC1", "v=dmarc1"]
    shares = (("p", 1.0 if plain else 0.95), ("sp", 0.4), ("np", 0.3))
    tags = [chance.choice(versions)]
    tags += [f"{name}={policy()}" for name, share in shares if chance.random() < share]
    tags += [f"{name}={chance.choice('rs' if plain else 'rsx')}" for name in ("adkim", "aspf") if chance.random() < 0.4]
    tags += [f"t={chance.choice('yn')}"] if chance.random() < 0.3 else []
    tags += [f"psd={chance.choice('ynuu')}"] if chance.random() < 0.4 else []
    addresses = ["mailto:a@example.com"] if plain else ["mailto:a@example.com", "nonsense"]
    tags += [f"rua={chance.choice(addresses)}"] if chance.random() < 0.5 else []
    return chance.choice(("; ", ";", " ; ")).join(tags) + chance.choice(("", ";", "; "))


def planted(chance: random.Random, number: int) -> Tree:
    """A name of two to twelve labels; some of its parents publish a record, some two, some nothing of ours."""
    labels = [chance.choice("abc") for _ in range(chance.randrange(0, 11))] + [f"z{number}", f"t{number}"]
    tree = Tree(".".join(labels))
    for at in range(len(labels)):
        if chance.random() < 0.3:
            count = 2 if chance.random() < 0.05 else 1
            tree.records[".".join(labels[at:])] = [made_up(chance, plain=True) for _ in range(count)]
    return tree


def zone_of(trees: list[Tree]) -> dict[str, list[Any]]:
    zone: dict[str, list[Any]] = {tree.author: [{"A": "192.0.2.1"}] for tree in trees}
    for tree in trees:
        zone |= {f"_dmarc.{name}": [{"TXT": text} for text in found] for name, found in tree.records.items()}
    return zone


async def ours(trees: list[Tree], address: str) -> list[tuple[DmarcResult, Facts]]:
    """By the questions that a mail makes us ask, over the DNS."""
    dns = Dns(DnsSettings(servers=(address,)))
    found = []
    for tree in trees:
        asked = questions(mail(f"From: a@{tree.author}\r\n\r\n".encode(), sender=""))
        facts = await gather(asked, dns, 10)
        found.append((dmarc.evaluate((tree.author,), SpfResult(), (), facts), facts))
    await dns.aclose()
    return found


def theirs(tree: Tree, resolver: Resolver) -> str:
    """Where checkdmarc finds the record that applies."""
    try:
        return checkdmarc.query_dmarc_record(tree.author, resolver=resolver)["location"]
    except checkdmarc.DMARCRecordNotFound:
        return ""
    except checkdmarc.MultipleDMARCRecords:
        return "several"


def test_the_tree_walk_as_checkdmarc_walks_it() -> None:
    trees = [planted(random.Random(number), number) for number in range(ZONES)]
    with NameServer(zone_of(trees)) as server:
        walked = asyncio.run(ours(trees, server.address))
        resolver = Resolver(configure=False)
        host, _, port = server.address.rpartition(":")
        resolver.nameservers, resolver.port, resolver.cache = [host], int(port), None
        places = [theirs(tree, resolver) for tree in trees]
    agreed = 0
    for tree, (result, _), place in zip(trees, walked, places, strict=True):
        if place == "several":
            assert tree.several, tree
        else:
            assert result.record_domain == place, tree
            agreed += 1
    assert agreed > 0.9 * ZONES
    assert len({place.count(".") for place in places}) > 6  # of every depth


@pytest.mark.parametrize("seed", range(4))
def test_alignment_and_policy_as_dmarc_judges_them(seed: int) -> None:
    chance = random.Random(seed)
    agreed = 0
    for _ in range(ZONES // 4):
        text = made_up(chance, plain=True)
        author = chance.choice(("example.com", "a.example.com", "b.a.example.com"))
        signer = chance.choice(("example.com", "a.example.com", "b.a.example.com", "example.net", "notexample.com"))
        sender = chance.choice(("example.com", "bounces.example.com", "example.org", ""))
        facts = Facts(txt=answered({"_dmarc.example.com": text}).txt, exists={author: DnsStatus.OK})
        result = dmarc.evaluate((author,), _spf(sender), (DkimResult(AuthResult.PASS, signer),), facts)
        policy = other.DMARCPolicy(text, author, org_domain=None if author == "example.com" else "example.com")
        spf = other.SPF(sender, other.SPFResult.PASS) if sender else None
        dkim = other.DKIM(signer, other.DKIMResult.PASS)
        judged = policy.dmarc.get_result(policy.policy, spf, dkim, allow_policy_test_mode=True)
        public = "psd=y" in text  # then names under example.com are strangers to each other, which it does not know
        if public or any(_siblings(author, vouching) for vouching in (signer, sender)):
            continue
        agreed += 1
        assert (result.result is AuthResult.PASS) == (judged.result is other.DMARCResult.PASS), (text, author, signer)
        if judged.result is not other.DMARCResult.PASS:
            assert result.policy.value == judged.disposition.value, (text, author)
    assert agreed > 100


def test_records_as_checkdmarc_reads_them() -> None:
    chance = random.Random(7)
    agreed = 0
    for text in (made_up(chance) for _ in range(ZONES)):
        read = parse_record(text.encode())
        own = (
            None if read is None or read.policy is None else (read.policy.value, (read.subdomains or read.policy).value)
        )
        try:
            tags = checkdmarc.parse_dmarc_record(text, "example.com")["tags"]
            others = (tags["p"]["value"].lower(), tags["sp"]["value"].lower())
        except checkdmarc.DMARCError:
            others = None
        if own == others:
            agreed += 1
        else:
            assert own is not None, text
            assert others is None, text
            bare = text.replace(" ", "") + ";"
            assert any(known in bare for known in ("nonsense", "bogus", "=x", "=;")) or ";p=" not in bare, text
    assert agreed > 0.7 * ZONES


def _spf(domain: str) -> SpfResult:
    return SpfResult(AuthResult.PASS if domain else AuthResult.NONE, domain)


def _siblings(one: str, two: str) -> bool:
    """Are both under example.com, and neither over the other?"""
    under = all(name.endswith("example.com") and not name.startswith("not") for name in (one, two))
    return under and not (one.endswith(two) or two.endswith(one))
