"""Is there text that a reader does not see but a filter would?"""

from __future__ import annotations

from collections.abc import Iterator

from filterd.authentication import Authentication
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail

MUCH = Symbol("HIDDEN_TEXT_MUCH", 1.5, "More text is hidden from the reader than shown to him.")

PREHEADER = 400  # characters: newsletters hide a line or two for the inbox preview


@check(MUCH)
def hidden(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    """Compares the length of hidden text with that of visible text."""
    unseen = len(mail.message.hidden_text.strip())
    seen = len(mail.message.text.strip())
    if unseen > PREHEADER and unseen > seen:
        yield MUCH.found(f"{unseen} hidden characters, {seen} visible")
