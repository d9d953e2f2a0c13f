"""`filterd train --history` and `evaluate --history`: what people had released from quarantine is ham."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from filterd.cli import main
from filterd.store import QuarantineClass, RetentionSettings, Store
from tests.learning.letters import letter
from tests.store.stored import held, make_record


def test_what_was_released_is_ham(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))
    ids = []
    for number in range(6):
        klass = QuarantineClass.VIRUS if number == 5 else QuarantineClass.SPAM
        record = make_record(id=f"R{number}", sender=f"s{number}@x.example")
        ids += asyncio.run(store.hold(record, letter(number, spam=False), held(klass=klass)))
    for id_ in (ids[0], ids[1], ids[5]):
        claim = store.quarantine.claim_for_release(id_, "web:ann")
        assert claim is not None
        assert store.quarantine.released(claim, "250 ok")
    store.quarantine.delete([ids[2]], "web:ann")
    store.close()
    config = tmp_path / "filterd.yaml"
    config.write_text(f"state: {tmp_path}/state\nretention: {{min_free: 0}}\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--history", "--dry-run", "--json", "--jobs", "1", "-c", str(config)])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ham"], report["spam"]) == (2, 0)
