"""Languages: every text of the pages is in every catalogue, with the same names to fill in."""

from __future__ import annotations

import gettext
import re
import subprocess
from pathlib import Path

import pytest

from filterd.decision import Action
from filterd.frontends import web
from filterd.frontends.web import Site
from filterd.frontends.web.app import LOST
from filterd.frontends.web.digest import EVERY
from filterd.frontends.web.language import LANGUAGES, catalogue, choose
from filterd.frontends.web.pages.login import SENT
from filterd.frontends.web.pages.overview import SPANS
from filterd.frontends.web.pages.review import VIEWS, WAYS
from filterd.frontends.web.view import _BECAUSE
from filterd.frontends.web.visit import BROKEN
from filterd.store import ItemState, QuarantineClass, Role, Store, SuggestionState
from tests.frontends.web.visitor import hold, visitor
from tests.peers import require

ROOM = Path(web.__file__).parent
TEXT = r'"((?:[^"\\]|\\.)*)"'
OTHERS = [code for code in LANGUAGES if code != "en"]


def texts() -> set[str]:
    """Every text that a page may show."""
    found = {
        *Action,
        *ItemState,
        *QuarantineClass,
        *Role,
        *EVERY,
        *SPANS,
        *VIEWS,
        *SuggestionState,
        *WAYS.values(),
        "never",
        *_BECAUSE.values(),
        LOST,
        SENT,
        BROKEN,
    }
    for path in [*ROOM.rglob("*.html"), *ROOM.rglob("*.txt"), *ROOM.rglob("*.py")]:
        if path.name in ("api.py", "operations.py"):
            continue
        said = path.read_text()
        for pattern in (rf"\bcount\(\s*{TEXT}", rf"\b(?:_|say)\(\s*{TEXT}", r"\b_\('((?:[^'\\]|\\.)*)'",
                        rf"(?:Refused|Unfit)\({TEXT}", rf"_error\(visit, \d+, {TEXT}"):  # fmt: skip
            found |= set(re.findall(pattern, said))
    return {str(one) for one in found}


@pytest.mark.parametrize("code", OTHERS)
def test_everything_is_said(code: str) -> None:
    known = catalogue(code).texts
    assert not {one for one in texts() if not known.get(one, [""])[0]}


@pytest.mark.parametrize("code", OTHERS)
def test_the_same_names_are_filled_in(code: str) -> None:
    for one, forms in catalogue(code).texts.items():
        for form in forms if one else ():
            assert set(re.findall(r"%\(\w+\)s", form)) == set(re.findall(r"%\(\w+\)s", one)), one


@pytest.mark.parametrize("code", OTHERS)
def test_gettext_reads_them_as_we_do(code: str, tmp_path: Path) -> None:
    msgfmt = require("msgfmt", package="gettext")
    path = ROOM / "locale" / f"{code}.po"
    subprocess.run([msgfmt, "--check", "-o", tmp_path / "x.mo", path], check=True, capture_output=True)
    with (tmp_path / "x.mo").open("rb") as file:
        theirs = gettext.GNUTranslations(file)
    for one in texts():
        assert theirs.gettext(one) == catalogue(code).say(one)
    for n in (0, 1, 2, 5):
        pair = ("%(n)s message", "%(n)s messages")
        assert theirs.ngettext(*pair, n) % {"n": n} == catalogue(code).count(*pair, n)


@pytest.mark.parametrize(
    ("wanted", "accepted", "code"),
    [("", "", "en"), ("ca", "it", "ca"), ("", "de, pt-BR;q=0.8, it;q=0.9", "it"), ("xx", "ca-ES", "ca"),
     ("", "x;q=nonsense, " * 5000, "en"), ("", "fr,*", "en")],
)  # fmt: skip
def test_which_one(wanted: str, accepted: str, code: str) -> None:
    assert choose(wanted, accepted).code == code


def test_a_person_s_own(site: Site, store: Store) -> None:
    hold(store)
    ann = visitor(site, "ann")
    ann.get("/account")
    ann.post("/account", part="settings", language="ca", digest="daily")
    assert 'lang="ca"' in ann.page
    assert "Desat." in ann.page
    for code in OTHERS:
        stranger = visitor(site)
        assert f'lang="{code}"' in stranger.get("/login", **{"Accept-Language": code}).text
        assert catalogue(code).say("Your quarantine") in stranger.page
