"""Sends messages (a JSON list in a file) to a port, some at once: python -m tests.bench.sender PORT CLIENTS FILE."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.load import Client


async def send(address: tuple[str, int], clients: int, raws: list[bytes]) -> None:
    """All of them; AssertionError when one is not accepted."""
    left = iter(enumerate(raws))

    async def client(mine: Iterator[tuple[int, bytes]]) -> None:
        async with Client(*address) as connection:
            for number, raw in mine:
                answers = await connection.send(f"s{number}@example{number % 100}.net", ["user@example.org"], raw)
                assert answers[-1].ok, answers[-1]

    await asyncio.gather(*(client(left) for _ in range(clients)))


if __name__ == "__main__":
    loaded = [text.encode("latin-1") for text in json.loads(Path(sys.argv[3]).read_text())]
    asyncio.run(send(("127.0.0.1", int(sys.argv[1])), int(sys.argv[2]), loaded))
