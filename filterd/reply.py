"""An SMTP reply: a code, an enhanced status code (RFC 3463), and text. What a server said, or what we say."""

from __future__ import annotations

import re

from filterd.value import Value

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |$)", re.ASCII)


class Reply(Value):
    code: int
    text: str = ""
    enhanced: str | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 400

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        """One line, as it goes over the wire when it fits one line."""
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)

    @classmethod
    def parse(cls, line: str) -> Reply:
        """A reply from `250 2.1.0 Ok`; raises ValueError when it does not start with a code."""
        code, text = line[:3], line[4:]
        if not (code.isascii() and code.isdigit() and code[0] in "12345"):
            raise ValueError(f"not an SMTP reply: {line[:80]!r}")
        match = _ENHANCED.match(text)
        enhanced = text[: match.end()].strip() if match and match[1] == code[0] else None
        return cls(int(code), text[len(enhanced) :].strip() if enhanced else text, enhanced)
