"""The milter door under miltertest, which speaks with Sendmail's own library: scripts in tests/cases/milter."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from filterd.decision import Action
from tests.frontends.milter_kit import Sieve, serving
from tests.peers import require

pytestmark = pytest.mark.peer("miltertest")

SCRIPTS = Path(__file__).parents[1] / "cases" / "milter"


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.lua")), ids=lambda path: path.stem)
def test_script(script: Path) -> None:
    program = require("miltertest", package="miltertest")

    def action(recipient: str) -> Action:
        return Action(recipient.partition("@")[0])

    def tag_at(recipient: str) -> int:
        return -1 if action(recipient) is Action.TAG else 500

    async def main() -> tuple[int | None, str, Sieve]:
        sieve = Sieve(action=action, tag_at=tag_at)
        async with serving(filter=sieve) as kit:
            where = f"inet:{kit.where[1]}@127.0.0.1"
            process = await asyncio.create_subprocess_exec(
                program, "-D", f"socket={where}", "-s", str(script),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await asyncio.wait_for(process.communicate(), 60)
            return process.returncode, said.decode(), sieve

    code, said, sieve = asyncio.run(main())
    assert code == 0, said
    assert all(raw.endswith(b" folded\r\n\tsubject\r\n\r\nbody\r\n") for _, raw in sieve.seen)
    assert len(sieve.seen) >= 2
