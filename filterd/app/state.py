"""The state folder: where the service keeps what must outlive it, readable by nobody else.

`prepare` makes it and the secret in it; `hand_over` gives its owner what root made there; `Bypass` is the file behind
`filterd bypass`. Fails with StateError, one sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from filterd.told import Told


class StateError(Told):
    """The state folder cannot be used; the text is one sentence."""


def prepare(state: Path) -> bytes:
    """Make the folder, and give the secret that release marks and links are signed with."""
    try:
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        return _secret(state / "secret")
    except OSError as error:
        raise StateError(f"the state folder {state} cannot be used: {error.strerror}") from error


def hand_over(state: Path) -> None:
    """Give what root has made in the folder to the folder's owner; else the service could not open it."""
    with contextlib.suppress(OSError):
        owner = state.stat()
        if os.geteuid() or not owner.st_uid:
            return
        for _, folders, files, at in os.fwalk(state.resolve(), follow_symlinks=False):
            for name in (*folders, *files):
                found = os.stat(name, dir_fd=at, follow_symlinks=False)
                # a second name could be a file that lies elsewhere, and is not the owner's to have
                kept = stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode)
                own = stat.S_ISDIR(found.st_mode) or (kept and found.st_nlink == 1)
                if own and not found.st_uid:
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)


def _secret(path: Path) -> bytes:
    fresh = path.with_name(f".secret-{os.getpid()}")
    if not path.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return path.read_bytes()
        finally:
            fresh.unlink()
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Bypass:
    """The emergency switch: a file in the state folder, so that it also works while the service is down."""

    state: Path

    @property
    def path(self) -> Path:
        return self.state / "bypass"

    def switch_on(self, who: str, when: str) -> None:
        self.path.write_text(json.dumps({"by": who, "since": when}) + "\n")

    def switch_off(self) -> bool:
        """Was it on?"""
        existed = self.path.exists()
        self.path.unlink(missing_ok=True)
        return existed

    def said(self) -> str | None:
        """None when it is off, else who switched it on and when."""
        try:
            note = json.loads(self.path.read_text())
            return f"since {note['since']} by {note['by']}"
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return "since nobody knows when"
