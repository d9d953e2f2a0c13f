"""Child processes of the service: started, watched, restarted, ended.

A child is `python -m MODULE ARGUMENTS` with a pipe as its stdin: when the service is gone, however it
went, the pipe closes and the child ends. A child that does not stay up is restarted ever more slowly, and
health says so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence

import structlog

log = structlog.get_logger("filterd")

PATIENCE = 10.0  # seconds that a child has to end by itself
STEADY = 60.0  # seconds after which a child counts as up
BACKOFF = (0.0, 1.0, 5.0, 15.0, 60.0)


class Child:
    """One supervised process."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        self.name = name
        self._descriptors = tuple(descriptors)  # open in the child too, under the same numbers
        self._command = (sys.executable, "-m", module, *arguments)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._falls = 0

    @property
    def steady(self) -> bool:
        """Does it stay up? One fall is forgiven."""
        return self._falls < 2

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Close its stdin, then wait, then kill."""
        if self._task is not None:
            self._task.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BACKOFF[min(self._falls, len(BACKOFF) - 1)])
            started = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, pass_fds=self._descriptors
            )
            code = await self._process.wait()
            self._falls = 1 if loop.time() - started > STEADY else self._falls + 1
            log.error("child-ended", child=self.name, code=code)


def on_orphaned(end: Callable[[], None]) -> None:
    """In a child: call `end` when the service closes our stdin. Needs a running loop."""
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            end()

    loop.add_reader(descriptor, readable)
