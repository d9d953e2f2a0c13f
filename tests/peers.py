"""Real servers for tests: skipped where absent, a failure where they must be (FILTERD_REQUIRE_PEERS=1).

sink = require("smtp-sink", package="postfix")     # its path
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

_ELSEWHERE = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/postfix/sbin")


def require(program: str, package: str, only: Sequence[str] = ()) -> Path:
    """Where `program` is; else the test that asks is skipped, or fails when peers are required.

    `only`: the folders to look in, instead of the usual ones.
    """
    path = (os.environ.get("PATH", os.defpath), *_ELSEWHERE)
    found = shutil.which(program, path=os.pathsep.join(only or path))
    if found is not None:
        return Path(found)
    missing = f"{program} is not installed (Debian package {package})"
    if os.environ.get("FILTERD_REQUIRE_PEERS") == "1":
        pytest.fail(missing)
    pytest.skip(missing)
