"""How each door comes to know the client, and what was taken for one message, in sentences. Pure.

In: a listener, or the record of a message. Out: a sentence for the postmaster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from filterd.config.model import Config
from filterd.frontends.settings import AnyListener, HttpListener, MilterListener, SpamdListener, WebListener
from filterd.mail import Source
from filterd.record import Record

_BECAUSE = {
    Source.PEER: "it was the host that connected",
    Source.XCLIENT: "a trusted peer said so with XCLIENT",
    Source.XFORWARD: "a trusted peer said so with XFORWARD",
    Source.PROXY: "the PROXY header said so",
    Source.MILTER: "the mail server's connect callback said so",
    Source.REQUEST: "the request said so",
    Source.UNKNOWN: "nobody said who it was",
}


def ways(config: Config) -> Iterator[str]:
    """A sentence for each listener that takes mail."""
    for listener in config.listeners:
        if not isinstance(listener, WebListener):
            yield f"{listener.protocol} {listener.listen[0]}: {_way(listener)}"


def taken(record: Record) -> str:
    """Who was the client of a message that has been judged, and why."""
    origin, envelope = record.origin, record.envelope
    why = _BECAUSE.get(origin.source) or f"Received line {(origin.hop or 0) + 1} said so, and networks.relays wrote it"
    return f"record {record.id}: at {envelope.listener} the client was {origin.address or 'not known'}; {why}"


def _way(listener: AnyListener) -> str:
    match listener:
        case MilterListener():
            return "the client is whom the mail server's connect callback names; this machine itself is not known"
        case HttpListener():
            return "the client is the request's IP; the program that asks is never taken for it"
        case SpamdListener():
            return "the protocol cannot say who the client is; the program that asks is never taken for it"
        case WebListener():
            return "takes no mail"
    trusted = _listed([str(network) for network in listener.trusted])
    if listener.proxy_protocol:
        return f"the client is whom the PROXY header of {trusted} names; nobody else may connect"
    if not listener.trusted:
        return "the client is whoever connects"
    return f"the client is whom {trusted} names with XCLIENT or XFORWARD, or not known; anybody else is it himself"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nobody"
