"""The HTTP door: rspamd's protocol for programs that ask, and what Prometheus and load balancers ask.

It only advises: the program that asks acts on the answer, and nothing is held here. The listener is
`filterd.frontends.http.door.HttpDoor`.
"""

from __future__ import annotations

from filterd.frontends.http.answer import Answer, Route

__all__ = ["Answer", "Route"]
