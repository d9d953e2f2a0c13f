"""From a file to a Config, or to every sentence about what is wrong in it, with file and line.

In: the path of a YAML file, or None for the embedded defaults. Out: a `Loaded`, the Config and where each
value came from. Fails with `ConfigError`, which lists all problems at once and never a traceback.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from filterd.config.check import contradictions
from filterd.config.explain import explain
from filterd.config.model import Config
from filterd.yamlfile import Document, DocumentError, Key, Problem, read_document

SYSTEM = Path("/etc/filterd/filterd.yaml")


class ConfigError(DocumentError):
    """A configuration that cannot be used; the text is one line for each problem."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Config and the document it came from; None when it came from nothing."""

    config: Config
    document: Document | None
    hash: str

    def where(self, key: Key) -> str:
        """`file:line` of the value of `key`, in the file that a setting names where it names one, or "default"."""
        document = self.document
        if document is None:
            return "default"
        given, value = _given(document, key)
        if isinstance(value, dict) and given != key:
            return "default"  # the mapping around it is there, and it is not
        if (
            given in (("access",), ("recipients",))
            and isinstance(value, str)
            and len(key) == 2
            and isinstance(key[1], int)
        ):
            return f"{value}:{key[1] + 1}"
        if given == ("domains",) and isinstance(value, str):
            return str(Path(document.file).parent / value)
        return f"{document.file}:{document.line(given)}"


def _given(document: Document, key: Key) -> tuple[Key, Any]:
    """The longest part of `key` that the file has, and what stands there."""
    value = document.data
    for depth, step in enumerate(key):
        if key[: depth + 1] not in document.lines or isinstance(value, str):
            return key[:depth], value
        value = value[step]
    return key, value


def find_config(given: Path | None) -> Path | None:
    """The file that a command without `-c` reads; None is the embedded defaults."""
    if given is not None:
        return given
    if named := os.environ.get("FILTERD_CONFIG"):
        return Path(named)
    return SYSTEM if SYSTEM.exists() else None


def load_config(path: Path | None) -> Config:
    """The Config in a file; raises ConfigError."""
    return load(path).config


def load(path: Path | None) -> Loaded:
    """The Config in a file and where it says what; raises ConfigError."""
    if path is None:
        config = embedded(default_state())
        return Loaded(config, None, fingerprint(config))
    try:
        document = read_document(path)
    except DocumentError as error:
        raise ConfigError(error.problems) from error
    return from_document(document)


def from_document(document: Document) -> Loaded:
    """The Config that a document holds; raises ConfigError."""
    if not isinstance(document.data, dict):
        raise ConfigError([Problem(document.file, document.line(()), "settings are `key: value` lines")])
    data, problems = _with_domains(document)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(problems + explain(error, document)) from error
    problems += [Problem(document.file, document.line(key), text) for key, text in contradictions(config)]
    if problems:
        raise ConfigError(problems)
    return Loaded(config, document, fingerprint(config))


def fingerprint(config: Config) -> str:
    """Names a configuration in records and in the log: equal settings, equal name."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:12]


def embedded(state: Path) -> Config:
    """The service on nothing but a folder: SQLite and a Maildir in it, loopback ports."""
    return Config.model_validate(
        {
            "hostname": "filterd.localdomain",
            "domains": ["example.org"],
            "state": str(state),
            "listeners": [
                {"protocol": "smtp", "listen": "127.0.0.1:10025", "relay": f"maildir:{state / 'Maildir'}"},
                {"protocol": "http", "listen": ["127.0.0.1:11333", "127.0.0.1:11334"]},
                {"protocol": "web", "listen": "127.0.0.1:8080"},
            ],
        }
    )


def default_state() -> Path:
    """Where the embedded service keeps its state: /var/lib for root, else the user's own folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/filterd")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "filterd"


def _with_domains(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    """The data with the domains of a file put in the place of its name."""
    named = document.data.get("domains")
    if not isinstance(named, str):
        return document.data, []
    path = Path(document.file).parent / named
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        problem = Problem(document.file, document.line(("domains",)), f"domains: {path} cannot be read: {why}")
        return {**document.data, "domains": []}, [problem]
    words = (line.partition("#")[0].strip() for line in lines)
    return {**document.data, "domains": [word for word in words if word]}, []
