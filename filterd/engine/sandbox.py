"""Close the door behind a worker: after this it can open no file and no socket, start no program, take no more memory.

Limits are lowered hard, and on Linux a seccomp filter refuses the system calls that reach beyond the process, so that
hostile bytes that took over the interpreter still find nothing to reach with, even as root. What fails to close is
returned as a sentence, never hidden: the caller says so in its log.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000 | errno.EPERM

# What reaches beyond the process: files, sockets, programs (clone and clone3: threads too), other processes, mounts,
# users, and the newer doors to the same. Numbers are those of each architecture's system call table.
_FORBIDDEN = {
    "x86_64": (
        0xC000003E,
        (2, 257, 437, 85, 87, 263, 82, 316, 86, 265, 88)  # noqa: RUF005  open openat openat2 creat unlink* rename* link* symlink
        + (41, 53, 42, 49, 50, 43, 288, 319)  # socket socketpair connect bind listen accept accept4 memfd_create
        + (56, 57, 58, 435, 59, 322)  # clone fork vfork clone3 execve execveat
        + (62, 200, 234, 101, 310, 311, 434, 438)  # kill tkill tgkill ptrace process_vm_* pidfd_open pidfd_getfd
        + (105, 106, 165, 250, 321, 323, 425),  # setuid setgid mount keyctl bpf userfaultfd io_uring_setup
    ),
    "aarch64": (
        0xC00000B7,
        (56, 437, 35, 276, 37, 36)  # noqa: RUF005  openat openat2 unlinkat renameat2 linkat symlinkat
        + (198, 199, 203, 200, 201, 202, 242, 279)  # socket socketpair connect bind listen accept accept4 memfd_create
        + (220, 435, 221, 281)  # clone clone3 execve execveat
        + (129, 130, 131, 117, 270, 271, 434, 438)  # kill tkill tgkill ptrace process_vm_* pidfd_open pidfd_getfd
        + (146, 144, 40, 219, 280, 282, 425),  # setuid setgid mount keyctl bpf userfaultfd io_uring_setup
    ),
}


def close_the_door(memory: int) -> list[str]:
    """Lower every limit for good. `memory` is bytes of address space beyond today's. Returns what could not be done."""
    trouble = []
    size = _address_space() + memory
    limits = (
        (resource.RLIMIT_AS, size, "memory"),
        (resource.RLIMIT_FSIZE, 0, "file size"),
        (resource.RLIMIT_CORE, 0, "core dumps"),
        (resource.RLIMIT_NPROC, 0, "processes"),
        (resource.RLIMIT_NOFILE, 0, "descriptors"),
    )
    for what, limit, name in limits:
        try:
            resource.setrlimit(what, (limit, limit))
        except (OSError, ValueError) as error:
            trouble.append(f"the limit on {name} could not be set: {error}")
    if problem := _forbid_calls():
        trouble.append(problem)
    return trouble


def _address_space() -> int:
    """Bytes of address space in use now."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 1 << 30  # no /proc (not Linux): a generous guess at a loaded worker


def _forbid_calls() -> str | None:
    machine = _FORBIDDEN.get(platform.machine())
    if machine is None or platform.system() != "Linux":
        return "system calls cannot be forbidden on this platform; the limits alone hold"
    architecture, calls = machine

    def step(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, jump_true, jump_false, value)

    program = [
        step(_LOAD, 0, 0, 4),
        step(_EQUAL, 1, 0, architecture),
        step(_RETURN, 0, 0, _ERRNO),
        step(_LOAD, 0, 0, 0),
    ]
    program += [step(_EQUAL, len(calls) - n, 0, call) for n, call in enumerate(calls)]
    program += [step(_RETURN, 0, 0, _ALLOW), step(_RETURN, 0, 0, _ERRNO)]
    code = ctypes.create_string_buffer(b"".join(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0):
        return f"system calls could not be forbidden: {os.strerror(ctypes.get_errno())}"
    return None
