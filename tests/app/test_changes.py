"""Lists, rules and the access list are taken over when they change on disk; what is wrong in them is not."""

from __future__ import annotations

import json
import os
import smtplib
from pathlib import Path
from typing import Any

from filterd.app.changes import Changes
from filterd.config import load
from tests.serving import Serving

RULE = "- {{name: SITE_WORD, about: A word., score: 9, decisive: true, when: {{text: {{words: {}}}}}}}\n"


def written(folder: Path) -> Path:
    (folder / "rules.d" / "lists").mkdir(parents=True)
    (folder / "rules.d" / "site.yaml").write_text(RULE.format("site_words"))
    (folder / "rules.d" / "lists" / "site_words.txt").write_text("zeppelin\n")
    (folder / "access").write_text("deny bad.example\n")
    return folder


def test_a_change_is_told_when_it_has_settled(tmp_path: Path) -> None:
    written(tmp_path)
    file = tmp_path / "filterd.yaml"
    named = {"access": "access", "domains": "domains", "relay": {"ca": str(tmp_path / "ca.pem")}}
    file.write_text(json.dumps({"state": str(tmp_path)} | named | _rules(tmp_path)))
    (tmp_path / "domains").write_text("example.org\n")
    file.write_text(file.read_text().replace('"access": "access"', f'"access": "{tmp_path}/access"'))
    changes = Changes(load(file))
    assert changes.look() == ()
    words = tmp_path / "rules.d" / "lists" / "site_words.txt"
    (tmp_path / "ca.pem").write_text("another")
    words.write_text("zeppelin\nballoon\n")
    assert changes.look() == ()  # it may still be written to
    assert changes.look() == (str(tmp_path / "ca.pem"), str(words))
    assert changes.look() == ()
    os.utime(tmp_path / "access", ns=(1, 1))
    (tmp_path / "rules.d" / "new.yaml").write_text("[]\n")
    (tmp_path / "domains").unlink()
    changes.look()
    found = [str(tmp_path / name) for name in ("access", "domains", "rules.d/new.yaml")]
    assert changes.look() == tuple(found)
    file.write_text("{")
    changes.look()
    assert changes.look() == ()  # the configuration waits for a reload


def _rules(folder: Path) -> dict[str, Any]:
    return {"rules": {"paths": [str(folder / "rules.d")], "shipped": False}}


def action(service: Serving, text: str, sender: str = "a@good.example") -> int:
    """250, or 550 for what is refused at RCPT or with its data."""
    with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as client:
        client.ehlo()
        client.mail(sender)
        refused = client.rcpt("b@example.org")[0]
        return refused if refused != 250 else client.data(f"From: {sender}\r\nSubject: x\r\n\r\n{text}\r\n")[0]


def test_the_service_takes_them_over_and_keeps_the_old_where_the_new_is_wrong(tmp_path: Path) -> None:
    folder = written(tmp_path)
    settings = {"access": f"{folder}/access", "thresholds": {"reject": 8}} | _rules(folder)
    with Serving(tmp_path, **settings) as service:
        assert action(service, "a balloon") == 250
        assert action(service, "hello", "x@bad.example") == 550
        workers = service.status()["generation"]["ruleset"]

        (folder / "access").write_text("deny worse.example\n")
        service.until(lambda: action(service, "hello", "x@worse.example") == 550, "the new access list")
        assert action(service, "hello", "x@bad.example") == 250
        assert service.status()["generation"]["ruleset"] == workers

        (folder / "rules.d" / "lists" / "site_words.txt").write_text("zeppelin\nballoon\n")
        service.until(lambda: action(service, "a balloon") == 550, "the new list")

        (folder / "access").write_text("deny worse.example\nforbid bad.example\n")
        service.until(lambda: any("reload-failed" in line for line in service.log), "the failure in the log")
        assert f"{folder}/access:2:" in " ".join(service.log)
        assert service.status()["status"] == "degraded"
        assert "access:2" in " ".join(service.status()["degraded"])
        assert action(service, "hello", "x@worse.example") == 550

        (folder / "rules.d" / "site.yaml").write_text("- {name: BROKEN}\n")
        service.until(lambda: sum("reload-failed" in line for line in service.log) == 2, "the second failure")
        assert action(service, "a balloon") == 550

        (folder / "access").write_text("deny worse.example\n")
        service.until(lambda: sum("reload-failed" in line for line in service.log) == 3, "the rules to be wrong still")
        (folder / "rules.d" / "site.yaml").write_text(RULE.format("[glider]"))
        (folder / "rules.d" / "lists" / "site_words.txt").unlink()
        service.until(lambda: "reload" not in str(service.status()["degraded"]), "all to be well again")
        assert action(service, "a glider") == 550
        assert action(service, "a balloon") == 250


def test_each_recipient_gets_his_own_copy(tmp_path: Path) -> None:
    folder = written(tmp_path)
    settings = {
        "thresholds": {"tag": 5, "quarantine": None},
        "groups": {"soft": ["ann@example.org"]},
        "policies": [
            {"name": "soft", "groups": ["soft"], "rules_off": ["SITE_WORD"]},
            {"name": "loud", "recipients": ["ben@*"], "tagging": {"subject": "[SPAM]", "header": "X-Junk: yes"}},
        ],
    } | _rules(folder)
    with Serving(tmp_path, **settings) as service:
        with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as client:
            mail = "From: a@good.example\r\nSubject: up and away\r\n\r\nzeppelin\r\n"
            to = ["ann@example.org", "ben@example.org", "carl@example.org"]
            assert not client.sendmail("a@good.example", to, mail)
        copies = [path.read_text() for path in (service.maildir / "new").iterdir()]
        assert len(copies) == 3
        (ann,) = (one for one in copies if "X-Spam-Flag" not in one)
        assert "SITE_WORD" not in ann
        (ben,) = (one for one in copies if "X-Junk: yes" in one)
        assert "Subject: [SPAM] up and away" in ben
        assert ben.count("Subject:") == 1
        (carl,) = (one for one in copies if one not in (ann, ben))
        assert "SITE_WORD" in carl
        assert "Subject: up and away" in carl
