"""The application: which page answers where, and what every answer says to the browser."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from filterd.frontends.web import api
from filterd.frontends.web.pages import (
    account,
    acts,
    audit,
    history,
    links,
    login,
    message,
    overview,
    quarantine,
    review,
    saved,
    senders,
)
from filterd.frontends.web.site import Site
from filterd.frontends.web.visit import Page, Visit, endpoint

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a form's Origin would be null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

GET, POST = ["GET"], ["POST"]
LOST = "There is no such page."


def create_app(site: Site) -> ASGIApp:
    """The pages of a site."""

    def at(path: str, page: Page, methods: list[str] = GET, *, open_: bool = False, foreign: bool = False) -> Route:
        return Route(path, endpoint(site, page, open_=open_, foreign=foreign), methods=methods)

    routes = [
        Route("/static/{name}", static, methods=GET),
        at("/login", login.show, open_=True),
        at("/login", login.enter, POST, open_=True),
        at("/login/link", login.ask_for_link, POST, open_=True),
        at("/link/{secret}", login.show_link, open_=True),
        at("/link/{secret}", login.enter_by_link, POST, open_=True),
        at("/logout", login.leave, POST),
        at("/", quarantine.home),
        at("/quarantine", quarantine.show),
        at("/quarantine/act", acts.act, POST),
        at("/quarantine/{id}", message.show),
        at("/quarantine/{id}/html", message.html),
        at("/quarantine/{id}/message.eml", message.download),
        at("/history", history.show),
        at("/history.csv", history.as_csv),
        at("/history.json", history.as_json),
        at("/history/{id}", history.message),
        at("/senders", senders.show),
        at("/senders", senders.change, POST),
        at("/review", review.show),
        at("/review", review.act, POST),
        at("/review/{id}", review.message),
        at("/saved", saved.change, POST),
        at("/overview", overview.show),
        at("/audit", audit.show),
        at("/account", account.show),
        at("/account", account.change, POST),
        at("/theme", account.theme, POST, open_=True),
        at("/d/{link}", links.show, open_=True),
        at("/d/{link}", links.act, POST, open_=True),
        at("/unsubscribe/{link}", links.ask_to_stop, open_=True),
        at("/unsubscribe/{link}", links.stop, POST, open_=True, foreign=True),
        *api.routes(site),
    ]
    return Secured(
        Starlette(routes=routes, exception_handlers={404: _lost(site), 405: _lost(site)}), secure=site.secure
    )


class Secured:
    """Puts `HEADERS` on every answer that does not say otherwise itself."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        more = {"Strict-Transport-Security": "max-age=31536000"} if secure else {}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in (HEADERS | more).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in self._headers if one[0] not in said)]
            await send(message)

        await self._app(scope, receive, secured)


def _lost(site: Site) -> Callable[[Request, Exception], Response]:
    """There is no such page; or only a button leads there, and the address was typed."""

    def lost(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 404
        if request.url.path.startswith("/api/"):
            page = api.lost(code)
        else:
            page = Visit(site, request).render("error.html", code, status=code, text=LOST, incident="")
        page.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
        return page

    return lost


def static(request: Request) -> Response:
    """One of our own files, which may be kept for ever: its address changes with its content."""
    name = request.path_params["name"]
    path = files(__package__) / "static" / name
    kind = _KINDS.get(name[name.rfind(".") :])
    if kind is None or "/" in name or not path.is_file():
        return Response("not found\n", 404, media_type="text/plain")
    return Response(
        path.read_bytes(),
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
        media_type=kind,
    )
