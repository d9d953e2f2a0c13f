"""The SMTP door: a proxy between the world, or the mail server's own smtpd, and the next hop.

What a client is answered is what the next hop says, until the data has come; then it is what the filter
decided. Nothing is queued here, no bounce is made, and no 250 is given that somebody else has not earned
first.

The listener is `filterd.frontends.smtp.server.SmtpServer`. Importing this package imports no protocol, for
the configuration needs the settings.
"""

from __future__ import annotations

from filterd.frontends.smtp.settings import BareNewline, Site, SmtpLimits

__all__ = ["BareNewline", "Site", "SmtpLimits"]
