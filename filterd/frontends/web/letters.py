"""Letters: mail that we write ourselves, in text and HTML. Pure."""

from __future__ import annotations

import datetime
import email.policy
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from filterd.frontends.web.site import Letter, Site
from filterd.frontends.web.view import environment

POLICY = email.policy.SMTP.clone(max_line_length=900)  # no link is folded


def letter(
    site: Site,
    recipient: str,
    subject: str,
    moment: datetime.datetime,
    template: str,
    values: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Letter:
    """A letter from `template`.txt, and `template`_mail.html beside it."""
    made = EmailMessage(policy=POLICY)
    made["From"] = f"filterd <{site.sender}>"
    made["To"] = recipient
    made["Subject"] = subject
    made["Date"] = format_datetime(moment)
    made["Message-ID"] = make_msgid(domain=site.hostname)
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    for name, value in (headers or {}).items():
        made[name] = value
    made.set_content(environment().get_template(f"{template}.txt").render(values))
    made.add_alternative(environment().get_template(f"{template}_mail.html").render(values), subtype="html")
    return Letter(recipient, made.as_bytes())
