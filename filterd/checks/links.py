"""Does a link lead where it says?

What protects links by leading through its own host, and names the site in doing so, is no lie. Nor is a name with
capitals (Walmart.com), which is a name and no address, or that of a file (setup.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from filterd.authentication import Authentication, AuthResult
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail
from filterd.mail.domains import has_known_suffix, registrable, to_ascii
from filterd.mail.filenames import words
from filterd.mail.links import Link

OTHER_SITE = Symbol("LINK_TEXT_OTHER_SITE", 1.0, "The text of a link names another site than the one it leads to.")
USERINFO = Symbol("LINK_USERINFO", 1.5, "A link hides its target behind a user name, as in http://bank.example@host/.")

_SITE = re.compile(r"\s*(https?://|www\.)?((?:(?:[^\W_]|-){1,63}\.){1,8}[a-z]{2,24})([:/?#]\S*)?\s*", re.IGNORECASE)
_FILES = words("ai app cc csv md mov pl ps py rs sh so sv yml zip")  # endings of files, some of domains too
_PROTECTORS = words(
    "avanan.click barracudanetworks.com cisco.com cudasvc.com deref-gmx.net deref-web.de edgepilot.com fireeye.com "
    "mimecast.com mimecastprotect.com office365.us outlook.com proofpoint.com sophos.com symantec.com trendmicro.com "
    "urldefense.com urldefense.us"
)


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
            if shown and link.domain and shown != link.domain and not _protected(link, shown):
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
    bare = not (match[1] or match[3])
    if bare and (match[2] != match[2].lower() or match[2].rpartition(".")[2] in _FILES):
        return None
    host = to_ascii(match[2])
    return registrable(host) if host and has_known_suffix(host) else None


def _protected(link: Link, shown: str) -> bool:
    return link.domain in _PROTECTORS and shown in unquote(link.url[:4_096]).lower()
