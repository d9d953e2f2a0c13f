"""The quarantine pages: what people see of filterd. Starlette, Jinja templates, a little htmx; no build step.

`create_app(site)` is the ASGI application; `Site` says what it stands on. The pages read and write the store and
nothing else: a release is scheduled there and carried out, after the time for undoing it, by the process around.
Every page works without JavaScript; every change is a POST with a CSRF token; every act is in the audit log.
"""

from __future__ import annotations

from filterd.frontends.web.app import create_app
from filterd.frontends.web.settings import WebSettings
from filterd.frontends.web.site import Site

__all__ = ["Site", "WebSettings", "create_app"]
