"""From a mail and the answers about it to who vouches for it. Pure; asks nobody; never raises."""

from __future__ import annotations

from collections.abc import Collection

from filterd.auth import arc, dkim, dmarc
from filterd.auth.canonical import SignedMessage
from filterd.auth.hearsay import NOTHING, heard
from filterd.auth.questions import MAX_SIGNATURES, incoming, spf_questions
from filterd.authentication import Authentication, AuthResult, DmarcResult, IprevResult, SpfResult
from filterd.facts import Facts, SpfAnswer
from filterd.mail import Mail


def authenticate(
    mail: Mail, facts: Facts, max_signatures: int = MAX_SIGNATURES, believed: Collection[str] = ()
) -> Authentication:
    """Judge SPF, DKIM, DMARC, ARC and iprev of a mail, given the answers to `questions(mail)`.

    `believed`: authserv-ids of our relays, whose results count where ours cannot be had.
    """
    message = SignedMessage(mail.message)
    hearsay = heard(mail, believed) if incoming(mail) else NOTHING
    spf = hearsay.spf(_spf(mail, facts), known=mail.origin.known)
    signatures = hearsay.dkim(dkim.verify(mail, facts, message, max_signatures))
    if incoming(mail):
        policy = hearsay.dmarc(dmarc.evaluate(mail.message.author_domains, spf, signatures, facts))
    else:
        policy = DmarcResult(reason="not asked of outgoing mail")
    return Authentication(
        spf=spf,
        dkim=signatures,
        dmarc=policy,
        arc=arc.verify(mail, facts, message),
        iprev=_iprev(mail, facts),
    )


def _spf(mail: Mail, facts: Facts) -> SpfResult:
    """What the probe said, under the identity that stands for the sender."""
    if not incoming(mail):
        return SpfResult(reason="not asked of outgoing mail")
    if not mail.origin.known:
        return SpfResult(reason="the client's address is not known")
    asked = spf_questions(mail)
    if not asked:
        return SpfResult(reason="no domain to ask")
    answers = {answer.identity: answer for answer in facts.spf}
    late = facts.failed.get("spf", "not answered in time")
    found = [
        answers.get(one.identity) or SpfAnswer(one.identity, one.domain, AuthResult.TEMPERROR, late) for one in asked
    ]
    if mail.envelope.sender and found[0].identity != "mailfrom":
        sender = SpfAnswer("mailfrom", "", AuthResult.NONE, "the sender has no domain")
    else:
        sender = found[0]
    helo = next((one for one in found if one.identity == "helo"), None)
    return SpfResult(
        sender.result,
        sender.domain,
        sender.identity,
        sender.reason,
        helo.result if helo else AuthResult.NONE,
        helo.domain if helo else "",
    )


def _iprev(mail: Mail, facts: Facts) -> IprevResult | None:
    """None when it was not asked."""
    if not incoming(mail) or not mail.origin.address:
        return None
    if facts.iprev is None:
        late = facts.failed.get("iprev", "not answered in time")
        return IprevResult(AuthResult.TEMPERROR, mail.origin.address, "", late)
    name = facts.iprev.names[0] if facts.iprev.names else ""
    return IprevResult(facts.iprev.result, mail.origin.address, name, facts.iprev.reason)
