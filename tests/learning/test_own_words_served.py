"""Ann and Bob disagree about a newsletter: one message to both, over real SMTP, becomes two copies."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

from tests.learning.newsletters import newsletter
from tests.serving import Serving
from tests.sink import Sink

ANN, BOB, CAROL = "ann@example.org", "bob@example.org", "carol@example.org"


def filterd(service: Serving, *arguments: str) -> str:
    command = [sys.executable, "-m", "filterd", *arguments, "-c", str(service.config_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_each_gets_his_own_outcome_from_one_message(tmp_path: Path) -> None:
    learn: dict[str, Any] = {"per_user": True}
    for number in (1, 2):
        (tmp_path / f"{number}.eml").write_bytes(newsletter(number))
    taught = [str(tmp_path / f"{number}.eml") for number in (1, 2)]
    with Sink(tmp_path) as sink, Serving(tmp_path, relay=sink.url, learn=learn) as service:
        service.until(lambda: (service.state / "learn.sock").exists(), "the learning process")
        filterd(service, "learn", "spam", *taught, "--user", ANN)
        filterd(service, "learn", "ham", *taught, "--user", BOB)
        with smtplib.SMTP(*service.smtp) as client:
            client.sendmail("news@harbour.example", [ANN, BOB, CAROL], newsletter(3))
        service.until(lambda: len(list(sink.mails())) == 3, "three copies")
        copies = {mail.recipients: message_from_bytes(mail.content) for mail in sink.mails()}
        ann, bob, carol = copies[(ANN,)], copies[(BOB,)], copies[(CAROL,)]
        assert ann["X-Spam-Flag"] == "YES"
        assert bob["X-Spam-Flag"] is carol["X-Spam-Flag"] is None
        scores = [round(100 * float(copy["X-Spam-Score"])) for copy in (ann, bob, carol)]
        assert scores[0] - scores[2] == 700
        assert scores[2] - scores[1] == 300
        assert "TAUGHT" in ann["X-Spam-Status"]
        assert "TAUGHT" not in carol["X-Spam-Status"]
        service.until(lambda: bool(json.loads(filterd(service, "history", "find", "--json"))), "the record")
        (row,) = json.loads(filterd(service, "history", "find", "--json"))
        told = filterd(service, "history", "explain", row["id"])
        assert f"for {ANN}:\n" in told
        assert re.search(r"\+7\.00\s+TAUGHT\s", told)
        assert "you taught: mail like this, 2 as spam" in told
        assert re.search(rf"{scores[0] / 100:.2f}\s+score\s", told)
        filterd(service, "learn", "forget", *taught, "--user", ANN)
        with smtplib.SMTP(*service.smtp) as client:
            client.sendmail("news@harbour.example", [ANN, CAROL], newsletter(4))
        service.until(lambda: (ANN, CAROL) in {mail.recipients for mail in sink.mails()}, "one copy for both")
