"""Questions and Facts: what must be asked of the outside world about a mail, and what it answered.

Questions are a capped superset, made by `inspect` without asking, so that one round of asking is enough. Facts are
all the answers, frozen, kept in the record, so that judging can be repeated. What could not be learnt is
`Unknown(reason)`, never a guess and never an absence that looks like a "no".
"""

from __future__ import annotations

import enum

from filterd.authentication import AuthResult
from filterd.mail.envelope import Origin
from filterd.value import Value


class Unknown(Value, tag="unknown"):
    """We asked and do not know: "timeout", "servfail", "not-asked", "over-budget", ..."""

    reason: str


class DnsStatus(enum.StrEnum):
    OK = "ok"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    TEMPERROR = "temperror"  # SERVFAIL, time-out, refused, no server: asked and not answered


class TxtAnswer(Value):
    """What DNS said to one TXT question: each record with its strings joined, as bytes."""

    status: DnsStatus
    records: tuple[bytes, ...] = ()
    reason: str = ""


class SpfQuestion(Value):
    """One SPF evaluation (RFC 7208 section 4): `check_host(address, domain, sender)`."""

    identity: str  # "mailfrom" or "helo"
    domain: str
    sender: str


class SpfAnswer(Value):
    """What the evaluation gave, in RFC 7208 words."""

    identity: str
    domain: str
    result: AuthResult
    reason: str = ""
    lookups: int = 0


class Iprev(Value):
    """Reverse DNS of the origin, forward-confirmed (RFC 8601 section 3)."""

    result: AuthResult
    names: tuple[str, ...] = ()  # the confirmed names first
    reason: str = ""


class Listing(Value):
    """One block or allow list's answer about one item; codes are the A records' text form."""

    list: str
    item: str
    codes: tuple[str, ...] = ()
    text: str = ""
    unknown: str = ""  # why we do not know; empty when we do


class Questions(Value, kw_only=True):
    """What must be asked about one mail. Capped: never more than `LIMITS` says, however hostile the mail."""

    origin: Origin
    spf: tuple[SpfQuestion, ...] = ()
    txt: tuple[str, ...] = ()  # DNS names, lower-case A-labels: DKIM keys and DMARC tree-walk records
    exists: tuple[str, ...] = ()  # domains of which we must know whether they exist (DMARC's np=)
    reverse: str = ""  # the address whose names iprev confirms; "" when that is not asked
    domains: tuple[str, ...] = ()  # registrable domains and addresses that links lead to, for block lists
    senders: tuple[str, ...] = ()  # registrable domains of envelope sender, From and Reply-To, for block lists
    addresses: tuple[str, ...] = ()  # mail addresses, lower case, for hashed lists
    hashes: tuple[str, ...] = ()  # SHA-256 of decoded attachments


class Facts(Value, kw_only=True):
    """All the answers. A probe that was not configured leaves its field at the default."""

    spf: tuple[SpfAnswer, ...] = ()
    txt: dict[str, TxtAnswer] = {}  # by name; a name of Questions.txt that is absent was not answered in time
    exists: dict[str, DnsStatus] = {}  # by domain: OK, NXDOMAIN, or TEMPERROR (RFC 9989 section 3.2.13)
    iprev: Iprev | None = None
    listings: tuple[Listing, ...] = ()
    programs: dict[str, str] = {}  # plugin probes: JSON text by probe name
    failed: dict[str, str] = {}  # probes that failed or timed out, by name, and why

    def text(self, name: str) -> TxtAnswer:
        """The TXT answer for `name`; a temporary error when there is none."""
        answer = self.txt.get(name)
        return answer if answer is not None else TxtAnswer(DnsStatus.TEMPERROR, (), "not answered in time")


NOTHING = Facts()
