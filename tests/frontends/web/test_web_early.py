"""Mail that was refused before its message, on the pages: found, and said why."""

from __future__ import annotations

from filterd.frontends.web import Site
from filterd.mail.envelope import Moment
from filterd.store import Store
from tests.engine.test_early_answers import Site as Engine
from tests.frontends.web.visitor import visitor


def test_why_it_did_not_come(site: Site, store: Store) -> None:
    engine = Engine("deny bad.example  # <the flood>", "deny 198.51.100.0/24", refuse_at="connect")
    for moment in (Moment.CONNECT, Moment.RCPT):
        engine.screen(moment)
    greeted, refused = engine.records
    for record in (greeted, refused):
        store.write(record)
    store.flush_now()
    root, ann = visitor(site, "root"), visitor(site, "ann")
    for who in (root, ann):
        assert refused.id in who.get("/history?q=bad.example").text
        page = who.get(f"/history/{refused.id}").text
        assert "deny bad.example" in page
        assert "(&lt;the flood&gt;)" in page
        assert "refused at RCPT" in page
    assert "refused as the client connected" in root.get(f"/history/{greeted.id}").text
    assert ann.get(f"/history/{greeted.id}").status_code == 404
    assert greeted.id not in ann.get("/history").text
    assert "198.51.100.7" in root.get("/history.csv").text
