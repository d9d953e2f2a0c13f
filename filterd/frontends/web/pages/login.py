"""Login: by password, or by a link that lets its owner in once.

Looking at a link does not spend it, so that a mail scanner that follows links logs nobody in; the button does.
A wrong name and a wrong password are the same answer, in the same time.
"""

from __future__ import annotations

import secrets

from starlette.responses import Response

from filterd.frontends.web import passwords
from filterd.frontends.web.visit import BEFORE, Visit, own_path
from filterd.store import Person
from filterd.store.text import fold

SECRET = 32  # bytes of a session's secret


def show(visit: Visit) -> Response:
    if visit.visitor is not None:
        return visit.redirect(visit.asked("next"))
    return _form(visit)


def enter(visit: Visit) -> Response:
    """A name and a password were given."""
    store, name, client = visit.site.store, fold(visit.field("name").strip())[:200], visit.client
    if visit.site.attempts.too_many(name, client):
        return _form(visit, 429, visit.language.say("Too many attempts. Wait a quarter of an hour."))
    kept = store.people.password(name)
    if not passwords.right(kept, visit.field("password")) or (person := store.people.get(name)) is None:
        visit.site.attempts.failed(name, client)
        store.audit.write("web", "login-failed", "", f"{name!r} from {client}")
        return _form(visit, 403, visit.language.say("The name or the password is wrong."))
    visit.site.attempts.succeeded(name)
    return _let_in(visit, person, own_path(visit.field("next") or "/"))


def show_link(visit: Visit) -> Response:
    return bound(visit, visit.render("link.html", secret=visit.request.path_params["secret"]))


def enter_by_link(visit: Visit) -> Response:
    if visit.site.attempts.too_many("", visit.client):
        return visit.redirect("/login", visit.language.say("Too many attempts. Wait a quarter of an hour."))
    person = visit.site.store.people.spend_link(visit.request.path_params["secret"])
    if person is None:
        visit.site.attempts.failed(f"link:{visit.client}", visit.client)
        return _form(visit, 403, visit.language.say("This link was used already, or its time is over."))
    return _let_in(visit, person, "/")


def leave(visit: Visit) -> Response:
    visit.site.store.people.close_session(visit.session)
    response = visit.redirect("/login")
    response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.secure, httponly=True, samesite="lax")
    return response


def _let_in(visit: Visit, person: Person, path: str) -> Response:
    secret, settings = secrets.token_urlsafe(SECRET), visit.site.settings
    if visit.session:
        visit.site.store.people.close_session(visit.session)
    visit.site.store.people.open_session(person.name, secret, settings.session, visit.client)
    response = visit.redirect(path)
    visit.set_cookie(response, visit.site.cookie, secret)
    response.delete_cookie(BEFORE, path="/")
    return response


def _form(visit: Visit, status: int = 200, wrong: str = "") -> Response:
    wanted = own_path(visit.asked("next") or visit.field("next") or "/")
    return bound(visit, visit.render("login.html", status, wrong=wrong, next=wanted, name=visit.field("name")))


def bound(visit: Visit, response: Response) -> Response:
    visit.set_cookie(response, BEFORE, visit.before, 3600)
    return response
