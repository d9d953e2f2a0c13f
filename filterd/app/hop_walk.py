"""Which hop of a message is taken as its client, and why, in sentences.

In: a message, the peer that handed it to us where that is known, our relays. Out: a sentence for each step, and the
Origin that `find_origin` gives, which decides. Without a peer the message is taken as handed over by a relay.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from ipaddress import ip_address

from filterd.ids import new_id
from filterd.mail import Envelope, Message, Origin, Source
from filterd.mail.received import find_origin
from filterd.settings import Networks


def walk(message: Message, peer: str | None, relays: Networks) -> tuple[list[str], Origin]:
    """The steps, and the origin."""
    client = Origin(peer, source=Source.PEER) if peer else Origin(str(relays[0].network_address) if relays else None)
    envelope = Envelope(
        id=new_id(), received_at=datetime.datetime.now(datetime.UTC), listener="doctor", peer=client.address,
        client=client, sender="", recipients=(),
    )  # fmt: skip
    origin = find_origin(envelope, message, relays)
    return list(_steps(message, peer, relays, origin)), origin


def _steps(message: Message, peer: str | None, relays: Networks, origin: Origin) -> Iterator[str]:
    if peer and not relays.hold(peer):
        yield f"the peer {peer} is not in networks.relays, so it is the client; no Received line is believed"
        return
    if not relays:
        yield "networks.relays is empty, so no Received line is believed"
        return
    who = f"{peer} is" if peer else "the host that handed it over is taken for"
    known = "networks.relays" if peer else "networks.relays (--peer names it)"
    yield f"{who} one of {known}, so the Received line it wrote is believed"
    for hop, line in enumerate(message.received):
        shown = line.from_address or "an address that cannot be read"
        where = f"line {hop + 1}: {line.by_host or 'somebody'} had it from {shown}"
        if not line.from_address:
            yield f"{where}; below that nothing is known"
            return
        if hop == origin.hop:
            yield f"{where}, which is not in networks.relays: that is the client; lines below are not believed"
            return
        why = "this host itself" if ip_address(line.from_address).is_loopback else "one of networks.relays"
        yield f"{where}, {why}; the next line is believed too"
    yield "no line names a host outside networks.relays; the client is not known"
