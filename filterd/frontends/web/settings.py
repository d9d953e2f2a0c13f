"""The settings of the quarantine pages."""

from __future__ import annotations

from pydantic import Field, field_validator

from filterd.frontends.web.directory import LdapSettings
from filterd.settings import Duration, Settings
from filterd.store import QuarantineClass, Role

_BY_USERS = (QuarantineClass.SPAM, QuarantineClass.POLICY, QuarantineClass.SPLIT, QuarantineClass.UNDELIVERED)


class WebSettings(Settings):
    url: str | None = Field(
        None,
        description="The address by which people reach the pages, as in links of mails: "
        "`https://quarantine.example.org`. With https, cookies are never sent without TLS.",
    )
    undo: Duration = Field(
        60.0, le=3600, description="A release or a deletion can be taken back so long; only then is it carried out."
    )
    session: Duration = Field(12 * 3600.0, gt=0, description="A login ends after so long without a visit.")
    longest_session: Duration = Field(7 * 86400.0, gt=0, description="A login ends after so long in any case.")
    users_release: tuple[QuarantineClass, ...] = Field(
        _BY_USERS, description="Quarantine classes that a user may release. Managers: all but virus; admins: all."
    )

    teach: tuple[Role, ...] = Field(
        (Role.USER, Role.MANAGER, Role.ADMIN),
        description="Who may teach the site's model by the buttons Spam and Not spam; see docs/learning.md on limits.",
    )

    list_senders: tuple[Role, ...] = Field(
        (Role.USER, Role.MANAGER),
        description="Who, besides administrators, may allow and block senders for whose mail they see.",
    )
    login_links: bool = Field(
        True,
        description="Whoever gives their address on the login page is mailed a link that lets them in once. It needs "
        "`url`. Administrators get none.",
    )
    ldap: LdapSettings | None = Field(None, description="A directory whose people may log in.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError("write https://name, or http://name:port")
        return url.rstrip("/") if url else None
