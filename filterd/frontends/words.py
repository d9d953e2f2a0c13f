"""The words that rspamd has for what is done about a mail. Pure."""

from __future__ import annotations

import enum

from filterd.decision import Action


class QuarantineAs(enum.StrEnum):
    """What a program is advised that would have to quarantine by itself, for nothing is held at these doors."""

    ADD_HEADER = "add header"
    REJECT = "reject"
    QUARANTINE = "quarantine"


def rspamd_action(action: Action, quarantine: QuarantineAs = QuarantineAs.ADD_HEADER) -> str:
    """rspamd's word for an action."""
    return quarantine.value if action is Action.QUARANTINE else _WORDS[action]


_WORDS = {
    Action.ACCEPT: "no action",
    Action.TAG: "add header",
    Action.DEFER: "soft reject",
    Action.REJECT: "reject",
    Action.DISCARD: "discard",
}
