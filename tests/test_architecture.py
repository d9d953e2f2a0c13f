"""The house stands as docs/architecture.md says: imports go down, each library has one door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_contracts_of_pyproject_hold() -> None:
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_serving_and_scanning_never_load_scikit_learn() -> None:
    code = (
        "import sys, filterd.app.service, filterd.app.scan, filterd.engine.worker, filterd.cli.serve;"
        "sys.exit(any(name.split('.')[0] in ('sklearn', 'joblib', 'scipy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_file_needs_a_banner() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "filterd").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 450
    }
    assert not long, "each of these is two files"
