"""What is doubtful about an access list: each sentence has a case, and honest lists have none."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.access import AccessList, Entry, chosen, parse_entry
from filterd.authentication import Authentication, AuthResult, DkimResult, SpfResult
from filterd.cli import main
from filterd.doubts import doubts
from filterd.mail.envelope import Envelope, Origin, Recipient, Source
from filterd.record import Outline, Record

TODAY = datetime.date(2026, 6, 1)
SHARED = {"gmail.com"}


def doubted(*lines: str) -> list[tuple[int, str]]:
    return list(doubts([parse_entry(line) for line in lines], SHARED, TODAY))


@pytest.mark.parametrize(
    ("lines", "position", "text"),
    [
        (["deny a.example", "deny a.example"], 1, "`deny a.example` is there twice"),
        (["deny A.example until 2027-01-01", "deny a.example"], 0, "is there twice"),
        (["deny 192.0.2.7", "deny 192.0.2.7/32"], 1, "is there twice"),
        (["allow a.example", "deny a.example"], 0, "`allow a.example` never decides: `deny a.example` goes before it"),
        (["deny a.example", "deny mail.a.example"], 1, "changes nothing: `deny a.example` says the same of more mail"),
        (["deny x@a.example for ann@example.org", "deny a.example for example.org"], 0, "changes nothing"),
        (["allow 192.0.2.0/24", "allow 192.0.2.7"], 1, "`allow 192.0.2.7/32` changes nothing"),
        (["allow 2001:db8::/32", "allow 2001:db8::1"], 1, "changes nothing"),
        (["deny a.example until 2026-05-31"], 0, "`deny a.example` has expired"),
        (["allow gmail.com"], 0, "`allow gmail.com` lets in everybody who has an address there"),
        (["allow co.uk"], 0, "lets in everybody who has a domain under co.uk"),
        (["allow github.io for ann@example.org"], 0, "`allow github.io for ann@example.org` lets in everybody"),
        (["allow 0.0.0.0/0"], 0, "a network of strangers"),
        (["allow 2001::/16"], 0, "a network of strangers"),
    ],
)
def test_each_doubt(lines: list[str], position: int, text: str) -> None:
    ((at, said),) = doubted(*lines)
    assert at == position
    assert text in said


@pytest.mark.parametrize(
    "lines",
    [
        ["deny a.example", "allow news@a.example"],
        ["deny a.example", "allow news@a.example", "deny news@a.example for ann@example.org"],
        ["allow a.example", "deny mail.a.example", "allow x@mail.a.example"],
        ["deny a.example for ann@example.org", "deny a.example for ben@example.org"],
        ["deny a.example until 2027-01-01", "deny x@a.example"],
        ["deny 192.0.2.0/24", "allow 192.0.2.7"],
        ["allow ann@gmail.com", "deny gmail.com", "allow 10.1.0.0/16", "deny 0.0.0.0/0", "deny co.uk"],
        ["deny a.example", "deny evila.example", "deny a.example.evil.example"],
    ],
)
def test_what_has_a_use_is_not_doubted(lines: list[str]) -> None:
    assert doubted(*lines) == []


def test_a_long_list_takes_no_long_time() -> None:
    entries = [parse_entry(f"deny d{number}.example") for number in range(20_000)]
    assert list(doubts([*entries, entries[0]])) == []
    assert len(list(doubts([*entries, parse_entry("deny example.example"), parse_entry("deny d7.example")]))) == 1


WHOM = st.sampled_from(["a.example", "m.a.example", "x@m.a.example", "x@a.example", "192.0.2.0/24", "192.0.2.7"])
FOR = st.sampled_from(["", " for example.org", " for ann@example.org"])
LINES = st.lists(
    st.builds(lambda kind, whom, for_: f"{kind} {whom}{for_}", st.sampled_from(["allow", "deny"]), WHOM, FOR)
)


@settings(max_examples=150, deadline=None)
@given(lines=LINES, sender=st.sampled_from(["x@m.a.example", "x@a.example", "y@a.example"]))
def test_without_what_is_useless_the_list_decides_the_same(lines: list[str], sender: str) -> None:
    entries = [parse_entry(line) for line in lines]
    useless = {position for position, _ in doubts(entries)}
    kept = [line for position, line in enumerate(lines) if position not in useless]
    for address in ("192.0.2.7", "192.0.2.8", "198.51.100.1"):
        for auth in (SENT, Authentication()):
            for recipient in ("ann@example.org", "ben@example.org", "x@example.net"):
                mail = record(sender, address, auth)
                found = [chosen(AccessList(some).holding(mail), Recipient(recipient)) for some in (lines, kept)]
                listed, stored = [one.allows if isinstance(one, Entry) else None for one in found]
                assert listed == stored


SENT = Authentication(spf=SpfResult(AuthResult.PASS, "a.example"), dkim=(DkimResult(AuthResult.PASS, "a.example"),))


def record(sender: str, address: str, auth: Authentication) -> Record:
    client = Origin(address, None, None, Source.PEER)
    envelope = Envelope(
        id="A",
        received_at=datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC),
        listener="smtp",
        peer=address,
        client=client,
        sender=sender,
        recipients=(),
    )
    return Record(id="A", envelope=envelope, origin=client, outline=Outline(from_=sender, authors=(sender,)), auth=auth)


def test_the_check_of_a_configuration_tells_them_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "access").write_text("# ours\ndeny a.example\n\ndeny x@a.example  # again\nallow gmail.com\n")
    config = tmp_path / "filterd.yaml"
    config.write_text(f"state: {tmp_path}\nrules: {{paths: []}}\naccess: {tmp_path}/access\n")
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", "-c", str(config)])
    out, said = capsys.readouterr()
    assert ended.value.code == 0
    assert said.splitlines() == [
        f"{tmp_path}/access:4: `deny x@a.example` changes nothing: `deny a.example` says the same of more mail",
        f"{tmp_path}/access:5: `allow gmail.com` lets in everybody who has an address there; name the address",
    ]
    assert out == f"{config}: good, but for 2 doubts\n"
    config.write_text(f"state: {tmp_path}\nrules: {{paths: []}}\naccess:\n  - deny a.example\n  - deny a.example\n")
    with pytest.raises(SystemExit) as ended:
        main(["rules", "lint", "-c", str(config)])
    assert ended.value.code == 2
    assert f"{config}:5: `deny a.example` is there twice" in capsys.readouterr().err
