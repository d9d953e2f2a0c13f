"""Visit: one request of one person, and how a page answers it.

A page is a plain function `(visit) -> Response`; it runs in a thread, so that it may ask the store. Around it
`endpoint` finds out who is there, refuses a POST that our own pages did not make, and turns what a page raises into a
page: `NotFound` (also for what exists and is not theirs to see), `Refused`, a store that does not answer, and what
nobody foresaw: an incident, whose name stands on the page and in the log.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from filterd.frontends.web import language, rights
from filterd.frontends.web.site import Site
from filterd.frontends.web.view import environment
from filterd.store import Person, StoreError, StoreUnavailable

log = structlog.get_logger("filterd.web")

BODY = 1_000_000  # bytes of a form
NOTICE = "filterd-notice"
BEFORE = "filterd-before"  # the cookie that a login form is bound to
THEMES = ("light", "dark")
BROKEN = "Something is broken here. It was not you. The log tells the postmaster more, under this name:"


class NotFound(Exception):
    """There is no such thing, for this person."""


class Refused(Exception):
    """The person may not do that; the text says why."""


@dataclass
class Visit:
    """A request, and who makes it."""

    site: Site
    request: Request
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @cached_property
    def session(self) -> str:
        return self.request.cookies.get(self.site.cookie, "")

    @cached_property
    def visitor(self) -> Person | None:
        settings = self.site.settings
        if not 20 <= len(self.session) <= 100:
            return None
        return self.site.store.people.session(self.session, settings.session, settings.longest_session)

    @property
    def person(self) -> Person:
        """Who is there; `endpoint` has seen to it that somebody is."""
        assert self.visitor is not None
        return self.visitor

    @property
    def by(self) -> str:
        """The person, for the audit log."""
        return f"web:{self.person.name}"

    @property
    def teaches(self) -> bool:
        """Is this person offered to say what is spam and what is not?"""
        return self.site.learn is not None and rights.may_teach(self.person, self.site.settings)

    @property
    def client(self) -> str:
        return self.request.client.host if self.request.client else ""

    @cached_property
    def language(self) -> language.Catalogue:
        wanted = self.visitor.language if self.visitor else ""
        return language.choose(wanted, self.request.headers.get("accept-language", ""))

    @property
    def csrf(self) -> str:
        return self.site.sign("csrf", self.session or self.before)

    @cached_property
    def before(self) -> str:
        """What stands for the session until there is one."""
        return self.request.cookies.get(BEFORE, "") or secrets.token_urlsafe(16)

    def field(self, name: str) -> str:
        """A field of the form; "" when it is not there."""
        return self.form.get(name, [""])[-1]

    def asked(self, name: str) -> str:
        """A parameter of the address."""
        return self.request.query_params.get(name, "")

    def render(self, template: str, code: int = 200, /, **values: Any) -> Response:
        notice, say = self._notice(), self.language
        page = (
            environment()
            .get_template(template)
            .render(
                visit=self,
                person=self.visitor,
                rights=rights,
                _=say.say,
                count=say.count,
                lang=say.code,
                tongue=say,
                notice=notice,
                theme=self.theme,
                **values,
            )
        )
        response = HTMLResponse(page, code)
        if notice:
            response.delete_cookie(NOTICE, path="/")
        return response

    @property
    def theme(self) -> str:
        theme = self.request.cookies.get("filterd-theme", "")
        return theme if theme in THEMES else ""

    def redirect(
        self, path: str, text: str = "", undo: str = "", ids: Sequence[str] = (), at: str = "/quarantine/act"
    ) -> Response:
        """Go on to one of our own pages, which shows `text`; `undo` and `ids` offer to take it back, at `at`."""
        response = RedirectResponse(own_path(path), 303)
        if text:
            said = base64.urlsafe_b64encode(
                json.dumps({"text": text, "undo": undo, "ids": list(ids), "at": at}).encode()
            ).decode()
            self.set_cookie(response, NOTICE, f"{self.site.sign('notice', self.session + said)}.{said}", 300)
        return response

    def set_cookie(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        response.set_cookie(name, value, seconds, path="/", secure=self.site.secure, httponly=True, samesite="lax")

    def _notice(self) -> dict[str, Any]:
        mark, _, said = self.request.cookies.get(NOTICE, "").partition(".")
        if not said or not self.site.signed("notice", self.session + said, mark):
            return {}
        notice: dict[str, Any] = json.loads(base64.urlsafe_b64decode(said))
        return {"at": "/quarantine/act"} | notice


Page = Callable[[Visit], Response]


def endpoint(
    site: Site, page: Page, *, open_: bool = False, foreign: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """A page as Starlette calls it. `open_`: also for who is not logged in; `foreign`: a POST need not be ours."""

    async def answer(request: Request) -> Response:
        form = await read_form(request) if request.method == "POST" else {}
        if form is None:
            return Response("The form is too large.", 413)
        return await run_in_threadpool(_answer, Visit(site, request, form), page, open_, foreign)

    return answer


def _answer(visit: Visit, page: Page, open_: bool, foreign: bool) -> Response:
    try:
        if visit.request.method == "POST" and not foreign and not _is_ours(visit):
            return _error(visit, 403, "This form is out of date. Go back, load the page again and repeat it.")
        if not open_ and visit.visitor is None:
            return _to_login(visit)
        return page(visit)
    except NotFound:
        return _error(visit, 404, "There is nothing here, or it is not yours to see.")
    except Refused as error:
        return _error(visit, 403, str(error))
    except StoreUnavailable as error:
        log.error("page-failed", path=visit.request.url.path, why=str(error))
        return _error(visit, 503, "The database does not answer now. Nothing was changed; try again.")
    except StoreError as error:
        return _error(visit, 400, str(error))
    except Exception as error:  # noqa: BLE001  the last one who can say something of it
        return _error(visit, 500, BROKEN, incident(visit.request, error))


def incident(request: Request, error: Exception) -> str:
    """The name under which the log tells of a failure of our own."""
    name = secrets.token_hex(4)
    why = f"{type(error).__name__}: {error}"
    log.error("incident", incident=name, method=request.method, path=request.url.path, why=why, exc_info=error)
    return name


def _error(visit: Visit, status: int, text: str, name: str = "") -> Response:
    try:
        return visit.render("error.html", status, status=status, text=text, incident=name)
    except Exception as error:  # noqa: BLE001  not even who is there can be asked, or the page itself is what fails
        if not isinstance(error, StoreError):
            name = name or incident(visit.request, error)
        return Response(f"{text} {name}".strip() + "\n", status, media_type="text/plain")


def _to_login(visit: Visit) -> Response:
    url = visit.request.url
    if visit.request.method == "POST":
        return visit.redirect("/login")
    wanted = url.path + (f"?{url.query}" if url.query else "")
    return visit.redirect("/login" if wanted == "/" else f"/login?next={quote(wanted, safe='')}")


def _is_ours(visit: Visit) -> bool:
    """Did one of our own pages make this POST? By what the browser says, and by the token."""
    headers = visit.request.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    # a proxy may ask us under a name of its own, while people see that of `web.url`
    names = {headers.get("host"), urlsplit(visit.site.settings.url or "").netloc} - {None, ""}
    if origin is not None and urlsplit(origin).netloc not in names:
        return False
    mark = visit.field("csrf") or headers.get("x-csrf-token", "")
    session = visit.session or visit.request.cookies.get(BEFORE, "")
    return bool(session) and visit.site.signed("csrf", session, mark)


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """The fields of an urlencoded form; None when it is too large. Anything else has no fields."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY:
            return None
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        return parse_qs(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=5000)
    except ValueError:  # more fields than that
        return None


def own_path(path: str) -> str:
    """A path of ours, and never another site: `//host`, a backslash or a control character is "/"."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if good else "/"
