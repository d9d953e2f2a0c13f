"""Does the sender show a name that is somebody else's address?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from filterd.authentication import Authentication
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail
from filterd.mail.domains import registrable

NAME_OTHER = Symbol(
    "FROM_NAME_OTHER_ADDRESS",
    2.0,
    "The name shown for the sender is an address of another domain than his own.",
)
REPLY_SAME_NAME = Symbol(
    "REPLYTO_SAME_NAME_ELSEWHERE", 1.0, "Replies go to another domain under the sender's own display name."
)

_ADDRESS = re.compile(r"[\w.+-]{1,64}@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")


@check(NAME_OTHER, REPLY_SAME_NAME)
def identity(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    """Compares what From shows with what it is. A list or calendar that says so in Sender is left alone."""
    message = mail.message
    forwarded = any(message.headers.first(name) for name in ("List-Id", "List-Post", "X-Original-From", "Sender"))
    for author in message.from_[:1]:
        own = registrable(author.domain) or author.domain
        shown = _ADDRESS.search(author.name)
        if shown and not forwarded and not _same(shown[1], own):
            yield NAME_OTHER.found(f"{author.name[:100]} <{author.address}>")
        for reply in message.reply_to[:1]:
            same_name = author.name and reply.name.casefold() == author.name.casefold()
            if same_name and not forwarded and not _same(reply.domain, own):
                yield REPLY_SAME_NAME.found(f"{author.address}, but {reply.address}")


def _same(domain: str, own: str) -> bool:
    domain = domain.lower().rstrip(".")
    return (registrable(domain) or domain) == own
