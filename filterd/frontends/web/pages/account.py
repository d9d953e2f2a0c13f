"""The own account: language, password, how often a digest comes, API tokens; and the theme of this browser."""

from __future__ import annotations

import secrets

from starlette.responses import Response

from filterd.frontends.web import passwords
from filterd.frontends.web.digest import EVERY
from filterd.frontends.web.language import LANGUAGES, choose
from filterd.frontends.web.visit import THEMES, NotFound, Visit, own_path

DIGESTS = ("", *EVERY)
SCOPES = ("read", "release", "delete", "teach", "senders", "history")
YEAR = 365 * 86_400.0


def show(visit: Visit) -> Response:
    return _page(visit)


def change(visit: Visit) -> Response:
    """One part of the page was sent."""
    part = visit.field("part")
    if part not in PARTS:
        raise NotFound
    return PARTS[part](visit)


def theme(visit: Visit) -> Response:
    """Light, dark, or as the system has it; kept by this browser."""
    wanted = visit.field("theme")
    response = visit.redirect(own_path(visit.field("back") or "/"))
    if wanted in THEMES:
        visit.set_cookie(response, "filterd-theme", wanted, int(YEAR))
    else:
        response.delete_cookie("filterd-theme", path="/")
    return response


def _settings(visit: Visit) -> Response:
    language, digest = visit.field("language"), visit.field("digest")
    if language not in ("", *LANGUAGES) or digest not in DIGESTS:
        raise NotFound
    visit.site.store.people.change(visit.person.name, visit.by, language=language, digest=digest)
    say = choose(language, visit.request.headers.get("accept-language", "")).say
    return visit.redirect("/account", say("Saved."))


def _password(visit: Visit) -> Response:
    people, name, say = visit.site.store.people, visit.person.name, visit.language.say
    wrong = passwords.weakness(visit.field("new"))
    attempts = visit.site.attempts
    if attempts.too_many(name, visit.client):
        wrong = say("Too many attempts. Wait a quarter of an hour.")
    elif visit.person.has_password and not passwords.right(people.password(name), visit.field("old")):
        attempts.failed(name, visit.client)
        wrong = say("The password that you have now is another one.")
    if wrong:
        return _page(visit, 403, wrong=say(wrong))
    people.change(name, visit.by, password=passwords.hashed(visit.field("new")))
    return visit.redirect("/login", say("Your password was changed. Log in with the new one."))


def _token(visit: Visit) -> Response:
    scopes = [one for one in visit.form.get("scope", ()) if one in SCOPES]
    title = visit.field("title").strip()
    if not scopes or not title:
        return _page(visit, 400, wrong=visit.language.say("A token needs a name and at least one scope."))
    secret = f"filterd_{secrets.token_urlsafe(32)}"
    visit.site.store.people.add_token(visit.person.name, secret, title, scopes, YEAR)
    return _page(visit, secret=secret)


def _untoken(visit: Visit) -> Response:
    visit.site.store.people.remove_token(visit.person.name, visit.field("token"))
    return visit.redirect("/account", visit.language.say("The token is worth nothing any more."))


PARTS = {"settings": _settings, "password": _password, "token": _token, "untoken": _untoken}


def _page(visit: Visit, status: int = 200, wrong: str = "", secret: str = "") -> Response:
    tokens = visit.site.store.people.tokens(visit.person.name)
    return visit.render(
        "account.html",
        status,
        languages=LANGUAGES,
        digests=DIGESTS,
        scopes=SCOPES,
        tokens=tokens,
        wrong=wrong,
        secret=secret,
    )
