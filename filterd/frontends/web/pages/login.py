"""Login: by password, ours or a directory's, or by a link that lets its owner in once.

Looking at a link does not spend it, so that a mail scanner that follows links logs nobody in; the button does.
A wrong name and a wrong password are the same answer, in the same time.
"""

from __future__ import annotations

import datetime
import secrets

import structlog
from starlette.responses import Response

from filterd.frontends.web import passwords
from filterd.frontends.web.directory import DirectoryError
from filterd.frontends.web.language import choose
from filterd.frontends.web.letters import letter
from filterd.frontends.web.site import Letter, Site
from filterd.frontends.web.view import stamp
from filterd.frontends.web.visit import BEFORE, NotFound, Visit, own_path
from filterd.store import Person, Role
from filterd.store.text import fold

log = structlog.get_logger("filterd.web")

SECRET = 32  # bytes of a session's secret
GOOD_FOR = 900.0  # seconds
SENT = (
    "If there is an account with this address, a link is on its way to it. It lets you in once, within a quarter of an "
    "hour."
)


def show(visit: Visit) -> Response:
    if visit.visitor is not None:
        return visit.redirect(visit.asked("next"))
    return _form(visit)


def enter(visit: Visit) -> Response:
    """A name and a password were given."""
    store, name, client = visit.site.store, fold(visit.field("name").strip())[:200], visit.client
    if visit.site.attempts.too_many(name, client):
        return _form(visit, 429, visit.language.say("Too many attempts. Wait a quarter of an hour."))
    try:
        person = _known(visit, name, visit.field("password"))
    except DirectoryError as error:
        log.error("directory-failed", why=str(error))
        return _form(visit, 503, visit.language.say("The directory does not answer now. Try again in a while."))
    if person is None:
        visit.site.attempts.failed(name, client)
        store.audit.write("web", "login-failed", "", f"{name!r} from {client}")
        return _form(visit, 403, visit.language.say("The name or the password is wrong."))
    visit.site.attempts.succeeded(name)
    return _let_in(visit, person, own_path(visit.field("next") or "/"))


def _known(visit: Visit, name: str, password: str) -> Person | None:
    """Whose password it is. An account of ours comes before one of the directory with the same name."""
    people, directory = visit.site.store.people, visit.site.directory
    right, person = passwords.right(people.password(name), password), people.get(name)
    if person is not None and not person.source:
        return person if right else None
    found = directory.check(name, password) if directory is not None else None
    return people.mirror(found) if found is not None else None


def ask_for_link(visit: Visit) -> Response:
    """Mail a link to an address, if it is somebody's. The answer is the same if it is nobody's."""
    site, address = visit.site, fold(visit.field("address").strip())[:320]
    if not site.mails_links or "@" not in address.strip("@"):
        raise NotFound
    if site.asked.too_many(address, visit.client):
        return _form(visit, 429, visit.language.say("Too many attempts. Wait a quarter of an hour."))
    site.asked.failed(address, visit.client)
    person = site.store.people.with_address(address)
    if person is not None and person.role is not Role.ADMIN and site.send is not None:
        secret = secrets.token_urlsafe(SECRET)
        site.store.people.add_link(person.name, secret, GOOD_FOR, "web")
        site.send(invitation(site, person, address, secret))
    return visit.redirect("/login", visit.language.say(SENT))


def invitation(site: Site, person: Person, address: str, secret: str) -> Letter:
    """The letter with the link."""
    now = datetime.datetime.now(datetime.UTC)
    say = choose(person.language, "")
    values = {
        "_": say.say,
        "lang": say.code,
        "link": f"{site.settings.url}/link/{secret}",
        "until": stamp(now + datetime.timedelta(seconds=GOOD_FOR)),
    }
    return letter(site, address, say.say("Your link to the quarantine"), now, "invitation", values)


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
