"""The state folder: where the service keeps what must outlive it, readable by nobody else.

`prepare` makes it and the secret in it; `Bypass` is the file behind `filterd bypass`. Fails with
StateError, one sentence.
"""

from __future__ import annotations

import json
import os
import secrets
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
