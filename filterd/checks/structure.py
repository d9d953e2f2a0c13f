"""Can the message be read in only one way?"""

from __future__ import annotations

from collections.abc import Iterator

from filterd.authentication import Authentication
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail

AMBIGUOUS = Symbol(
    "STRUCTURE_AMBIGUOUS",
    2.0,
    "Mail clients would read this message differently, so a scanner can be led astray.",
)
NO_AUTHOR = Symbol("FROM_MISSING", 2.0, "There is no From header, or no address in it.")
MANY_AUTHORS = Symbol("FROM_MANY", 2.5, "There is more than one From header.")
EMPTY = Symbol("MESSAGE_EMPTY", 1.0, "There is nothing to read: no text, no attachment.")


@check(AMBIGUOUS, NO_AUTHOR, MANY_AUTHORS, EMPTY)
def structure(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    """Reports what the reader noted while it took the message apart."""
    message = mail.message
    if message.ambiguous:
        yield AMBIGUOUS.found(", ".join(message.defects[:5]))
    authors = len(message.headers.all("From"))
    if authors > 1:
        yield MANY_AUTHORS.found(f"{authors} From headers")
    elif not any(mailbox.address for mailbox in message.from_):
        yield NO_AUTHOR.found()
    if not message.attachments and not message.text.strip() and not message.links:
        yield EMPTY.found()
