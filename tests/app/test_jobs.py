"""The jobs process: it does its work, and ends when the service is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_it_ends_when_its_stdin_closes(tmp_path: Path) -> None:
    config = tmp_path / "filterd.yaml"
    config.write_text(json.dumps({"state": str(tmp_path)}))
    with subprocess.Popen(
        [sys.executable, "-m", "filterd.app.jobs", str(config)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as jobs:
        assert jobs.stdin is not None
        jobs.stdin.close()
        assert jobs.wait(60) == 0
        assert jobs.stderr is not None
        assert jobs.stderr.read() == b""
