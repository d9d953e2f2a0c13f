"""DMARC records against `checkdmarc`, where it is installed, on a thousand made-up ones; every disagreement is known.

It is a linter for owners of domains: it refuses a record for a report address or a tag that receivers ignore or
replace (RFC 9989 sections 4.7 and 4.10.1), and it takes a version in capitals, which section 4.8 does not.
"""

from __future__ import annotations

import random

import pytest

from filterd.auth.dmarc import parse_record

checkdmarc = pytest.importorskip("checkdmarc.dmarc", reason="checkdmarc is not installed")
POLICIES = ("none", "quarantine", "reject")


def made_up(chance: random.Random) -> str:
    def policy() -> str:
        return chance.choice((*POLICIES * 8, "REJECT", "bogus", ""))

    tags = [chance.choice(["v=DMARC1"] * 20 + ["v=DMARC2", "V=DMARC1", "v= DMARC1"])]
    tags += [f"{name}={policy()}" for name, share in (("p", 0.95), ("sp", 0.4), ("np", 0.3)) if chance.random() < share]
    tags += [f"{name}={chance.choice('rsx')}" for name in ("adkim", "aspf") if chance.random() < 0.4]
    tags += [f"t={chance.choice('yn')}"] if chance.random() < 0.3 else []
    tags += [f"psd={chance.choice('ynu')}"] if chance.random() < 0.2 else []
    tags += [f"rua={chance.choice(['mailto:a@example.com', 'nonsense'])}"] if chance.random() < 0.5 else []
    return chance.choice(("; ", ";", " ; ")).join(tags) + chance.choice(("", ";", "; "))


def test_records_as_checkdmarc_reads_them() -> None:
    chance = random.Random(7)
    agreed = 0
    for text in (made_up(chance) for _ in range(1_000)):
        ours = parse_record(text.encode())
        own = (
            None if ours is None or ours.policy is None else (ours.policy.value, (ours.subdomains or ours.policy).value)
        )
        try:
            tags = checkdmarc.parse_dmarc_record(text, "example.com")["tags"]
            theirs = (tags["p"]["value"].lower(), tags["sp"]["value"].lower())
        except checkdmarc.DMARCError:
            theirs = None
        if own == theirs:
            agreed += 1
        elif own is None:
            assert text.startswith("V="), text
        else:
            assert theirs is None, text
            bare = text.replace(" ", "") + ";"
            assert any(known in bare for known in ("nonsense", "bogus", "=x", "=;")) or ";p=" not in bare, text
    assert agreed > 750
