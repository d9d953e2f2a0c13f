"""Review: what users' releases, blocks and reports suggest that the model should learn, and a manager's word on it.

Managers decide about mail to their domains, admins about all, auditors look. What was learnt at once stands here too,
so that it can be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from filterd.frontends.web import preview, rights
from filterd.frontends.web.teaching import decide
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.learning import Review
from filterd.store import Suggestion, SuggestionFilter, SuggestionState, Way
from filterd.value import replace

PAGE = 50
AT_ONCE = 500
STANDING = (SuggestionState.PENDING, SuggestionState.ACCEPTED)
WAYS = {
    Way.RELEASE: "released it",
    Way.DENY: "blocked the sender",
    Way.BUTTON: "pressed a button",
    Way.REPORT: "reported it",
    Way.IMAP: "moved it",
    Way.DOOR: "by the mail server",
}
VIEWS = {
    "waiting": SuggestionFilter(),
    "doubtful": SuggestionFilter(states=STANDING, doubtful=True),
    "learnt": SuggestionFilter(states=(SuggestionState.ACCEPTED,)),
    "rejected": SuggestionFilter(states=(SuggestionState.REJECTED, SuggestionState.UNDONE)),
}


def show(visit: Visit) -> Response:
    _looks(visit)
    view = visit.asked("view") if visit.asked("view") in VIEWS else "waiting"
    typed, before = visit.asked("q").replace("\0", "")[:200], visit.asked("before")
    start = int(before) if before.isascii() and before.isdigit() and len(before) < 20 else None
    found = visit.site.store.suggestions.find(wanted(visit, view, typed), PAGE, start)
    return visit.render(
        "review.html",
        view=view,
        views=list(VIEWS),
        ways=WAYS,
        rows=found.rows,
        disputed=disputed(found.rows),
        counts=visit.site.store.suggestions.counts(rights.scope(visit.person)),
        q=typed,
        older=f"/review?{urlencode({'view': view, 'q': typed, 'before': found.next})}" if found.next else "",
        here=str(visit.request.url.path) + (f"?{visit.request.url.query}" if visit.request.url.query else ""),
    )


def message(visit: Visit) -> Response:
    one = theirs(visit, visit.request.path_params["id"])
    raw = visit.site.store.suggestions.raw(one.id)
    return visit.render(
        "suggestion.html", one=one, ways=WAYS, text=preview.text(preview.read(raw)) if raw is not None else None
    )


def act(visit: Visit) -> Response:
    """Accept, reject or undo."""
    back, what = visit.field("back") or "/review", visit.field("act")
    if what not in list(Review):
        raise NotFound
    if not rights.acts(visit.person):
        raise Refused("An auditor changes nothing.")
    found = [theirs(visit, id_) for id_ in dict.fromkeys(visit.form.get("id", ()))][:AT_ONCE]
    if not found:
        return visit.redirect(back, visit.language.say("Nothing was chosen."))
    result = decide(visit, found, Review(what))
    why = result.why or next((why for _, why in result.failed), "")
    text = visit.language.count("Done, for %(n)s message.", "Done, for %(n)s messages.", len(result.done))
    undo = Review.UNDO.value if result.done and what != Review.UNDO else ""
    return visit.redirect(back, f"{text} {why}".strip(), undo=undo, ids=result.done, at="/review")


def theirs(visit: Visit, id_: str) -> Suggestion:
    """A suggestion that this person may see."""
    _looks(visit)
    one = visit.site.store.suggestions.get(id_)
    if one is None or not rights.sees(visit.person, [one.address]):
        raise NotFound
    return one


def wanted(visit: Visit, view: str, text: str) -> SuggestionFilter:
    """What of a view this person sees."""
    return replace(VIEWS[view], text=text, mine=rights.scope(visit.person))


def disputed(rows: Sequence[Suggestion]) -> set[str]:
    """Digests of which some of these say spam, and others ham."""
    spam, ham = ({one.digest for one in rows if one.spam is said and one.state in STANDING} for said in (True, False))
    return spam & ham


def _looks(visit: Visit) -> None:
    if not rights.reviews(visit.person):
        raise Refused("What is learnt is reviewed by managers and administrators.")
