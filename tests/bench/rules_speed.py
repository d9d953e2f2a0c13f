"""What rules cost: milliseconds of CPU a message, for the shipped rules and for 1,000 and 5,000 more.

    python tests/bench/rules_speed.py [DIR]

DIR holds *.eml of about 5 KB each; without it the cases of the shipped rules are used. The further rules are made up:
each looks for two or three words near each other in subject or text, as most rules of postmasters do.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from filterd.authentication import UNAUTHENTICATED
from filterd.engine.loading import builtin_symbols
from filterd.facts import NOTHING
from filterd.mail import Envelope, Mail, Message, Origin
from filterd.ruleset import Ruleset, RulesSettings

ROUNDS = 5


def mails(folder: Path | None) -> list[Mail]:
    paths = sorted((folder or Path("rules/cases")).rglob("*.eml"))
    if folder is not None:
        paths = [path for path in paths if 3_000 < path.stat().st_size < 8_000][:200]
    when = datetime(2026, 1, 5, tzinfo=UTC)
    return [
        Mail(
            Envelope(id="B", received_at=when, listener="b", peer=None, client=Origin(), sender="", recipients=()),
            Message(path.read_bytes()),
            Origin(),
        )
        for path in paths
    ]


def made_up(count: int, vocabulary: list[str]) -> str:
    """The YAML of `count` rules over words that do occur in the mail."""
    dice = random.Random(7)
    rules = []
    for number in range(count):
        one, two, three = (dice.choice(vocabulary) for _ in range(3))
        field = dice.choice(("content", "content", "content", "header.subject", "link.url"))
        rules.append(
            {
                "name": f"MADE_UP_{number}",
                "about": "Made up.",
                "score": 0.1,
                "when": {field: {"regex": rf"(?i)\b{one}\W+(?:{two}|{three})[^.]{{0,40}}\b{dice.choice(vocabulary)}"}},
            }
        )
    return yaml.safe_dump(rules)


def cost(ruleset: Ruleset, given: list[Mail]) -> float:
    """Milliseconds of CPU a message, the best of some rounds; reading the message is not counted."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for mail in given:
            ruleset.judge(mail, NOTHING, UNAUTHENTICATED)
        best = min(best, time.process_time() - start)
    return best / len(given) * 1000


def main() -> None:
    given = mails(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    words = sorted({word for mail in given for word in mail.message.text.lower().split() if word.isalpha()})
    for more in (0, 1_000, 5_000):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "made_up.yaml").write_text(made_up(more, words))
            start = time.process_time()
            ruleset = Ruleset.load(RulesSettings(paths=(Path(folder),)), builtin_symbols())
            loading = time.process_time() - start
        sys.stdout.write(
            f"{len(ruleset.rules):6} rules: {cost(ruleset, given):.2f} ms a message; loaded in {loading:.1f} s\n"
        )


if __name__ == "__main__":
    main()
