"""Run a Service until it is told to end: signals, systemd's notifications, the event loop.

SIGHUP reloads, SIGTERM and SIGINT drain, a second one of these ends at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from filterd.app.children import Child
from filterd.app.service import Service
from filterd.config.load import Loaded

T = TypeVar("T")

_M_MMAP_THRESHOLD = -3  # malloc.h


def serve(path: Path | None, load: Callable[[], Loaded]) -> None:
    """The service, from here to its end. Raises what starting raises: one of `service.TROUBLE`."""
    arguments = [str(path)] if path else []
    children = [Child(name, f"filterd.app.{name}", arguments) for name in ("jobs", "learning")]
    in_loop(_serve(load(), load, children))


async def _serve(loaded: Loaded, load: Callable[[], Loaded], children: list[Child]) -> None:
    allow_descriptors()
    no_core_dumps()
    give_large_buffers_back()
    service = Service(loaded, load)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        notify("RELOADING=1")
        await service.reload()
        notify("READY=1")

    def hang_up() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def end() -> None:
        if ended.is_set():
            os._exit(1)
        ended.set()

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    await service.start(children)
    keep_out_of_collections()
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    notify("READY=1")
    await ended.wait()
    notify("STOPPING=1")
    await service.stop()


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, where there is one."""
    if sys.platform == "win32" or sys.implementation.name != "cpython":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def allow_descriptors() -> None:
    """As many open files as the system lets us have: the usual 1,024 are fewer than a flood of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_out_of_collections() -> None:
    """What is there now stays. Without it a full collection waits for a quarter of it to come again as garbage, and
    that is thousands of ended TLS sessions."""
    gc.collect()
    gc.freeze()
    gc.collect()  # counts what is left: next to nothing


def give_large_buffers_back() -> None:
    """What is over 128 KB goes back to the system when it is freed: each TLS session has a buffer of 256 KB. Left to
    itself glibc raises that bound to the largest that it has seen (mallopt(3)), and they scatter over the heap."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, 128 << 10)


def no_core_dumps() -> None:
    """What passes through here, mail and passwords, is nothing for a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it does not listen."""
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.sendto(state.encode(), "\0" + name[1:] if name.startswith("@") else name)
