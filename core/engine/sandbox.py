"""Shut this process in before it opens a model that a stranger made.

Loading a Keras file can run what its author wrote. After :func:`confine` the kernel refuses this process and every
thread it starts later all files but a few folders (Landlock, Linux 5.13), TCP (Landlock, Linux 6.7), and any socket,
program, tracing or io_uring (seccomp). Needs no privilege. Sources: the kernel's documents
userspace-api/landlock and userspace-api/seccomp_filter.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from core.settings import ROOT

logger = logging.getLogger("secateur.engine")

# linux/landlock.h: the numbers of the calls are the same on every architecture.
_CREATE, _ADD, _RESTRICT, _VERSION_FLAG, _PATH_RULE = 444, 445, 446, 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2

# linux/audit.h and the tables of calls: socket, execve, execveat, ptrace, io_uring_setup, process_vm_readv, _writev.
_CALLS = {
    "x86_64": (0xC000003E, (41, 59, 322, 101, 425, 310, 311)),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 425, 270, 271)),
}
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime",
           "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems",
           "/sys/devices/system", "/sys/fs/cgroup")

_libc = ctypes.CDLL(None, use_errno=True)


def confine(read: Iterable[Path], write: Iterable[Path]) -> bool:
    """Give up all but reading ``read`` (with the Python installation and this program) and changing ``write``.

    Call it before any thread starts: Landlock binds the calling thread and those it starts.

    Returns
    -------
    bool
        Whether the kernel keeps files out of reach. Where it cannot (no Landlock), a warning is logged and the process
        goes on with the rest of its limits.
    """
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    held = _landlock([*_installation(), *read], [*write, Path("/dev/null")])
    if not held:
        logger.warning("this kernel has no Landlock: a user's model is read without it")
    if not _seccomp():
        logger.warning("no filter of system calls for %s: a user's model is read without it", platform.machine())
    return held


def _installation() -> list[Path]:
    # Not the whole repository: the data folder, with database and key, lies in it by default.
    own = [ROOT / "core", ROOT / "models", ROOT / "config.yaml", ROOT / "pyproject.toml"]
    python = [Path(name) for name in (sys.prefix, sys.base_prefix, *sys.path) if name and Path(name) != ROOT]
    return [*own, *python, *map(Path, _SYSTEM), Path(f"/proc/{os.getpid()}")]


def _landlock(read: list[Path], write: list[Path]) -> bool:
    version = _libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1:
        return False
    handled = (1 << 13) - 1
    handled |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0) | (_IOCTL if version >= 5 else 0)
    # Files; binding and connecting TCP; abstract sockets and signals. Older kernels know the first fields only.
    rights = struct.pack("=QQQ", handled, 3, 3)[:8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _libc.syscall(_CREATE, rights, ctypes.c_size_t(len(rights)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for paths, allowed in ((read, _READ), (write, handled & ~_EXECUTE)):
            for path in paths:
                _allow(ruleset, path, allowed & handled)
        return bool(_libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    try:
        allowed = allowed if path.is_dir() else allowed & _OF_A_FILE
        rule = struct.pack("=Qi", allowed, place)
        if _libc.syscall(_ADD, ruleset, _PATH_RULE, rule, ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refused a rule", str(path))
    finally:
        os.close(place)


def _seccomp() -> bool:
    if platform.machine() not in _CALLS or sys.platform != "linux":
        return False
    architecture, calls = _CALLS[platform.machine()]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    refuse, allow = 0x00050000 | errno.EACCES, 0x7FFF0000
    end = len(calls) + 5  # where the refusal stands; each jump counts from the instruction after it
    program = [(load, 0, 0, 4), (equal, 0, end - 2, architecture), (load, 0, 0, 0),
               (at_least, end - 4, 0, 0x40000000)]  # the second set of numbers on x86-64
    program += [(equal, end - place - 1, 0, call) for place, call in enumerate(calls, start=4)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    text = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(text))
    return bool(_libc.prctl(_SET_SECCOMP, _FILTER, header, 0, 0) == 0)
