"""Does a link lead where it says?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from filterd.authentication import Authentication, AuthResult
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail
from filterd.mail.domains import registrable, to_ascii

OTHER_SITE = Symbol("LINK_TEXT_OTHER_SITE", 1.0, "The text of a link names another site than the one it leads to.")
USERINFO = Symbol("LINK_USERINFO", 1.5, "A link hides its target behind a user name, as in http://bank.example@host/.")

_SITE = re.compile(r"\s*(?:https?://)?((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?:[:/?#]\S*)?\s*", re.IGNORECASE)


@check(OTHER_SITE, USERINFO)
def links(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    """Compares anchor text with the target. The signer's own click counter is not a lie: it is his link."""
    signers = {registrable(one.domain) or one.domain for one in auth.dkim if one.result is AuthResult.PASS}
    other = userinfo = ""
    for link in mail.message.links:
        if link.scheme not in ("http", "https"):
            continue
        if link.user and not userinfo and "." in link.user:
            userinfo = link.url
        if not other and link.source == "html" and link.domain not in signers:
            shown = _shown(link.text)
            if shown and link.domain and shown != link.domain:
                other = f"{link.text.strip()[:80]} leads to {link.host}"
    if other:
        yield OTHER_SITE.found(other)
    if userinfo:
        yield USERINFO.found(userinfo[:120])


def _shown(text: str) -> str | None:
    """The registrable domain that the text of a link claims to be, if all of it is a site."""
    match = _SITE.fullmatch(text[:300])
    if match is None:
        return None
    host = to_ascii(match[1])
    return registrable(host) if host else None
