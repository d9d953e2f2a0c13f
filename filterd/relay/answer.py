"""Answer: what a server said on the wire, and AnswerReader, which takes replies apart as bytes come in.

In: bytes in any portions, from a server that may be hostile. Out: whole answers, or `BadAnswer` with one
sentence. Lines and lines per answer are capped, so memory is bounded. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filterd.reply import Reply

MAX_LINE = 12_288 + 6  # RFC 4954 section 4, for a challenge; RFC 5321 section 4.5.3.1.5 says 512
MAX_LINES = 256
MAX_TEXT = 480  # what fits one line of ours again

_LINE = re.compile(rb"([2345][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)", re.ASCII)
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


class BadAnswer(Exception):
    """Not a reply (RFC 5321 section 4.2)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply: its code and the text of each line, printable ASCII with `?` for anything else."""

    code: int
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def final(self) -> bool:
        """Not 354, which asks for more."""
        return self.ok or self.code >= 400

    def reply(self) -> Reply:
        """As a value of the house: one line, the enhanced code taken from the first line."""
        match = _ENHANCED.match(self.lines[0])
        enhanced = match[1] if match and match[1][0] == str(self.code)[0] else None
        prefix = f"{enhanced} " if enhanced else ""
        text = " ".join(line.removeprefix(prefix) if line != enhanced else "" for line in self.lines)
        return Reply(self.code, text.strip()[:MAX_TEXT], enhanced)


class AnswerReader:
    """Feed it bytes; it returns the answers that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = 0
        self._lines: list[str] = []

    @property
    def idle(self) -> bool:
        """Nothing is half read."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Answer]:
        """The answers completed by `data`; raises BadAnswer."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers = [answer for line in lines if (answer := self._line(line)) is not None]
        if len(self._rest) > MAX_LINE:
            raise BadAnswer(f"sent a line of more than {MAX_LINE} bytes")
        return answers

    def _line(self, line: bytes) -> Answer | None:
        match = _LINE.fullmatch(line.removesuffix(b"\r"))
        if match is None:
            raise BadAnswer(f"sent something that is not an SMTP reply: {line[:60]!r}")
        if len(line) > MAX_LINE or len(self._lines) >= MAX_LINES:
            raise BadAnswer("sent a reply that is too long")
        code = int(match[1])
        if self._lines and code != self._code:
            raise BadAnswer("changed the code in the middle of a reply")
        self._code = code
        self._lines.append(_UNPRINTABLE.sub(b"?", match[3] or b"").decode("ascii"))
        if match[2] == b"-":
            return None
        answer, self._lines = Answer(code, tuple(self._lines)), []
        return answer
