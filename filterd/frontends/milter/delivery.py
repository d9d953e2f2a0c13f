"""MilterDelivery: what a milter can do about an outcome, and the packets that say it.

There is one message, which stays with the mail server: recipients can be deleted from it and fields of its
header changed, for all who are left alike. So recipients whose copy is quarantined or discarded are deleted,
and when copies differ among the others, a tag wins over none and the first of equals over the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from filterd.decision import Copy, Decision, Edits
from filterd.frontends.milter import wire
from filterd.frontends.smtp import replies
from filterd.marking import fold
from filterd.reply import Reply

LEFT = Reply(250, "Left to the mail server", "2.0.0")


class MilterDelivery:
    """Delivers by leaving the message where it is, until it is withdrawn."""

    may_refuse = True
    splits = True
    replies_each = False
    advises = False

    def __init__(self) -> None:
        self._withdrawn = False

    def withdraw(self) -> None:
        """The mail server was told to try again."""
        self._withdrawn = True

    async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
        """One reply per recipient of the copy, in order. See `filterd.engine.outcome.Delivery`."""
        return (replies.TOO_LATE if self._withdrawn else LEFT,) * len(copy.recipients)


def render(
    decisions: Sequence[Decision], copies: Sequence[Copy], recipients: Sequence[bytes], *, leading_space: bool
) -> bytes:
    """The answer to the end of a message that is not refused.

    `decisions` as they were fulfilled, one for each of `recipients` (as RCPT had them, brackets included).
    Only to be sent when what is taken from the mail server is on disk. `leading_space`: values go with theirs.
    """
    gone = {recipients[at] for at, one in enumerate(decisions) if not one.action.delivers}
    kept = [at for at, one in enumerate(decisions) if one.action.delivers]
    if not kept:
        return wire.DISCARD
    answers = [wire.delete_recipient(recipient) for recipient in sorted(gone)]
    edits = _common(copies)
    # from the last to the first: a field that is deleted changes the numbers of those below it
    answers += [wire.delete_header(span.name, span.occurrence) for span in reversed(edits.remove)]
    for line in reversed(edits.prepend):
        value = fold(line)[len(line.name) + 1 : -2].replace(b"\r\n", b"\n")
        answers.append(wire.insert_header(0, line.name, value if leading_space else value.lstrip()))
    return b"".join((*answers, wire.CONTINUE))


def _common(copies: Sequence[Copy]) -> Edits:
    """The edits of the strictest copy that is delivered: those of a tag, where there is one."""
    delivered = [copy for copy in copies if copy.action.delivers]
    return max(delivered, key=lambda copy: copy.action.strictness).edits if delivered else Edits()
