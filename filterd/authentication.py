"""Authentication: who vouches for a mail, in the words of RFC 8601 (and RFC 7208, 6376, 9989, 8617).

Values only. They are made by `filterd.auth.authenticate`, which is pure: it evaluates answers that were already
given. `Authentication-Results` is written from them, rules and checks read them, the record keeps them.
"""

from __future__ import annotations

import enum

from filterd.value import Value


class AuthResult(enum.StrEnum):
    """RFC 8601 section 2.7."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class SpfResult(Value):
    """SPF of MAIL FROM (or of HELO when the sender is null), and of HELO."""

    result: AuthResult = AuthResult.NONE
    domain: str = ""
    identity: str = "mailfrom"
    reason: str = ""
    helo: AuthResult = AuthResult.NONE
    helo_domain: str = ""


class DkimResult(Value):
    """One signature, judged (RFC 6376). `reason` says why it is not a plain pass."""

    result: AuthResult
    domain: str  # d=, lower-case A-label; "" when unreadable
    selector: str = ""
    identity: str = ""  # i=
    algorithm: str = ""
    reason: str | None = None
    testing: bool = False  # t=y
    key_bits: int = 0


class DmarcPolicy(enum.StrEnum):
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class DmarcResult(Value):
    """DMARC of the author domain (RFC 9989). `policy` is what the domain owner asks for mail that fails."""

    result: AuthResult = AuthResult.NONE
    policy: DmarcPolicy = DmarcPolicy.NONE
    domain: str = ""  # the author domain; "" when there is not exactly one
    org_domain: str = ""
    record_domain: str = ""  # where the record was found
    spf_aligned: bool = False
    dkim_aligned: bool = False
    testing: bool = False  # t=y
    reason: str = ""


class ArcResult(Value):
    """The chain of RFC 8617."""

    result: AuthResult = AuthResult.NONE
    instances: int = 0
    sealers: tuple[str, ...] = ()  # d= of each seal, from the first hop to the last
    reason: str = ""
    dmarc: AuthResult = AuthResult.NONE  # what the last of a whole chain said of DMARC


class IprevResult(Value):
    result: AuthResult = AuthResult.NONE
    address: str = ""
    name: str = ""
    reason: str = ""


class Authentication(Value, kw_only=True):
    """All of it. `arc` and `iprev` are None where they were not looked at."""

    spf: SpfResult = SpfResult()
    dkim: tuple[DkimResult, ...] = ()
    dmarc: DmarcResult = DmarcResult()
    arc: ArcResult | None = None
    iprev: IprevResult | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that vouch for this mail: passing DKIM signatures, then passing SPF."""
        signed = [one.domain for one in self.dkim if one.result is AuthResult.PASS]
        if self.spf.result is AuthResult.PASS and self.spf.identity == "mailfrom":
            signed.append(self.spf.domain)
        return tuple(dict.fromkeys(signed))


UNAUTHENTICATED = Authentication()
