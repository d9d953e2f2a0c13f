"""`filterd doctor`: each ailment is found, said in a sentence, and comes with a way to mend it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filterd.app.client_ways import ways
from filterd.app.doctor import Level, Told, _origins, examine
from filterd.app.hop_walk import walk
from filterd.cli import main
from filterd.config import load
from filterd.config.model import Config
from filterd.mail import Message, Origin, Source
from filterd.settings import Networks, parse_network
from filterd.store import Store
from tests.nameserver import NameServer
from tests.store.stored import make_record

WELL = {"mx.example.org": [{"A": "192.0.2.1"}], "2.0.0.127.bl.test": [{"A": "127.0.0.2"}]}
HOPS = Message(
    b"Received: from inner.example.org (inner.example.org [10.0.0.7]) by store.example.org; 2 Feb 2026 10:00 +0000\r\n"
    b"Received: from sender.example (sender.example [203.0.113.5]) by inner.example.org; 2 Feb 2026 09:59 +0000\r\n"
    b"Received: from forged.example (forged.example [198.51.100.1]) by sender.example; 2 Feb 2026 09:58 +0000\r\n"
    b"From: a@sender.example\r\n\r\nHi\r\n"
)


def config_file(tmp_path: Path, **settings: Any) -> Path:
    state = tmp_path / "state"
    state.mkdir(mode=0o750, exist_ok=True)
    path = tmp_path / "filterd.yaml"
    path.write_text(json.dumps({"hostname": "mx.example.org", "state": str(state), "rules": {"paths": []}, **settings}))
    path.chmod(0o644)
    return path


def examined(path: Path) -> list[Told]:
    return asyncio.run(examine(load(path)))


def bad(found: list[Told], area: str) -> list[Told]:
    return [one for one in found if one.area == area and one.level is Level.BAD]


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with NameServer(dict(WELL)) as server:
        path = config_file(tmp_path, dns={"servers": [server.address]}, lists=[{"name": "bl", "zone": "bl.test"}])
        with pytest.raises(SystemExit) as exit_:
            main(["doctor", "-c", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert exit_.value.code == 0, found
    assert {one["area"] for one in found} == {"dns", "lists", "clock", "clients", "learning", "permissions"}


class Lying(dict[str, Any]):
    """A zone in which every name exists."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, [{"A": "192.0.2.9"}])


@pytest.mark.parametrize(
    ("zone", "silent", "says"), [(Lying(WELL), False, "lies"), (dict(WELL), True, "does not answer")]
)
def test_resolvers(tmp_path: Path, zone: dict[str, Any], silent: bool, says: str) -> None:
    with NameServer(zone) as server:
        server.silent = silent
        found = examined(config_file(tmp_path, dns={"servers": [server.address], "timeout": 0.5}))
    [told] = bad(found, "dns")
    assert says in told.text
    assert told.mend


def test_lists_that_are_not_well(tmp_path: Path) -> None:
    lists = [
        {"name": "bl", "zone": "bl.test"},
        {"name": "gone", "zone": "gone.test"},
        {"name": "no", "zone": "no.test"},
    ]
    with NameServer(WELL | {"2.0.0.127.no.test": [{"A": "127.255.255.254"}]}) as server:
        found = bad(examined(config_file(tmp_path, dns={"servers": [server.address]}, lists=lists)), "lists")
    assert [one.text.split()[2] for one in found] == ["gone", "no"]
    assert "resolver of your own" in found[1].mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_does_in_the_folder_of_another_user_leaves_it_usable_for_him(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    state = tmp_path / "state"
    os.chown(state, 65534, 65534)
    (tmp_path / "elsewhere").write_text("root's")
    (state / "second-name").hardlink_to(tmp_path / "elsewhere")
    (state / "link").symlink_to(tmp_path / "elsewhere")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state / "control.sock"))
    (tmp_path / "mail.eml").write_bytes(HOPS.raw)
    command = [sys.executable, "-m", "filterd", "learn", "spam", str(tmp_path / "mail.eml"), "-c", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    owners = {one.name: one.lstat().st_uid for one in state.rglob("*")}
    assert (owners.pop("second-name"), owners.pop("link")) == (0, 0)
    assert set(owners.values()) == {65534}, owners
    assert (tmp_path / "elsewhere").stat().st_uid == 0
    (one,) = bad(examined(path), "permissions")
    assert one.mend == f"chown -R --reference={state} {state}"


def test_permissions(tmp_path: Path) -> None:
    path = config_file(tmp_path, dns={"servers": ["127.0.0.1:9"]})
    (tmp_path / "state" / "secret").write_bytes(b"x")
    (tmp_path / "state" / "secret").chmod(0o644)
    (tmp_path / "state").chmod(0o755)
    path.chmod(0o666)
    mends = [one.mend for one in bad(examined(path), "permissions")]
    state = tmp_path / "state"
    assert mends == [f"chmod 750 {state}", f"chmod 600 {state / 'secret'}", f"chmod o-w {path}"]


@pytest.mark.parametrize(
    ("clients", "level", "says"),
    [
        (["203.0.113.5"] * 9 + [""], Level.GOOD, "9 of the last 10"),
        (["10.0.0.1"] * 6 + ["203.0.113.5"] * 4, Level.BAD, "10.0.0.1"),
        (["unknown"] * 6 + ["203.0.113.5"] * 4, Level.BAD, "not known"),
        ([], Level.GOOD, "no inbound mail"),
    ],
)
def test_client_addresses(clients: list[str], level: Level, says: str) -> None:
    told = _origins(Config(), clients)
    assert (told.level, says in told.text) == (level, True)


@pytest.mark.parametrize(
    ("relays", "peer", "client", "says"),
    [
        (("10.0.0.0/8",), "10.0.0.1", "203.0.113.5", "that is the client"),
        (("10.0.0.0/8",), "10.0.0.1", "203.0.113.5", "10.0.0.1 is one of networks.relays"),
        (("10.0.0.0/8",), None, "203.0.113.5", "is taken for one of networks.relays (--peer names it)"),
        (("10.0.0.0/8",), "198.51.100.9", "198.51.100.9", "no Received line is believed"),
        ((), None, None, "networks.relays is empty"),
        (("10.0.0.0/8", "203.0.113.0/24", "198.51.100.0/24"), "10.0.0.1", None, "the client is not known"),
    ],
)
def test_which_hop_is_the_client(relays: tuple[str, ...], peer: str | None, client: str | None, says: str) -> None:
    steps, origin = walk(HOPS, peer, Networks(parse_network(one) for one in relays))
    assert origin.address == client
    assert any(says in step for step in steps), steps


def test_the_command_shows_the_hops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mail.eml").write_bytes(HOPS.raw)
    path = config_file(tmp_path, networks={"relays": ["10.0.0.0/8"]})
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", "-c", str(path), "--message", str(tmp_path / "mail.eml"), "--peer", "10.0.0.1"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.endswith("client: 203.0.113.5\n")


SMTP = {"protocol": "smtp", "listen": "127.0.0.1:1", "relay": "maildir:/nowhere"}


@pytest.mark.parametrize(
    ("listener", "says"),
    [
        ({**SMTP, "trusted": []}, "the client is whoever connects"),
        (SMTP, "whom 127.0.0.0/8, ::1/128 names with XCLIENT or XFORWARD, or not known"),
        ({**SMTP, "proxy_protocol": True, "trusted": ["192.0.2.1/32"]}, "whom the PROXY header of 192.0.2.1/32 names"),
        ({"protocol": "milter", "listen": "127.0.0.1:1"}, "whom the mail server's connect callback names"),
        ({"protocol": "http", "listen": "127.0.0.1:1"}, "the client is the request's IP"),
        ({"protocol": "spamd", "listen": "127.0.0.1:1"}, "the protocol cannot say who the client is"),
    ],
)
def test_each_kind_of_listener_says_where_its_client_comes_from(listener: dict[str, Any], says: str) -> None:
    (way,) = ways(Config.model_validate({"domains": ["example.org"], "listeners": [listener]}))
    assert way.startswith(f"{listener['protocol']} 127.0.0.1:1: ")
    assert says in way


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        (Origin("203.0.113.5", source=Source.MILTER), "203.0.113.5; the mail server's connect callback said so"),
        (Origin("203.0.113.5", source=Source.RECEIVED, hop=1), "203.0.113.5; Received line 2 said so"),
        (Origin(), "not known; nobody said who it was"),
    ],
)
def test_a_message_that_was_judged_here_tells_who_was_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], origin: Origin, says: str
) -> None:
    path = config_file(tmp_path)
    record = msgspec.structs.replace(make_record(), origin=origin)
    store = Store.open(tmp_path / "state")
    store.write(record)
    store.close()
    (tmp_path / "mail.eml").write_bytes(b"X-Filterd-Id: " + record.id.encode() + b"\r\n" + HOPS.raw)
    with pytest.raises(SystemExit):
        main(["doctor", "-c", str(path), "--message", str(tmp_path / "mail.eml")])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"record {record.id}: at {record.envelope.listener} the client was {says}")


def test_rules_may_speak_of_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.yaml").write_text(
        "- name: LISTED_AND_LATE\n  about: A list knows it, and its date is in the past.\n  score: 1.0\n"
        "  when: {all: [{found: LIST_BL}, {found: DATE_IN_PAST}]}\n"
    )
    path = config_file(tmp_path, lists=[{"name": "bl", "zone": "bl.test"}])
    with pytest.raises(SystemExit):
        main(["rules", "lint", "-c", str(path), str(rules)])
    assert "unknown" not in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        main(["rules", "show", "-c", str(path), "LIST_BL"])
    assert exit_.value.code == 0
