"""Memory in pages of 2 MiB instead of 4 KiB: a tenth off a step on a Linux CPU.

A step goes through hundreds of megabytes, and each small page of fresh memory costs a
fault. Where the kernel gives large pages to those who ask (`madvise`), the C library
asks for a program whose environment said so when it started; so the program is
started once more, before it has done anything.
"""

import os
import sys
from pathlib import Path

_ASKED = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SINCE = (2, 35)  # of the C library


def use() -> None:
    """Starts the process again, as it was called, with large pages if that helps.

    A `GLIBC_TUNABLES` that says something of them is left alone; `=0` refuses them.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if _ASKED in tunables or not (_is_plain() and _can_be_had()):
        return
    asked = ":".join(each for each in (tunables, f"{_ASKED}=1") if each)
    arguments = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, arguments, {**os.environ, "GLIBC_TUNABLES": asked})
    except OSError:
        return  # It goes as well without, only slower.


def _is_plain() -> bool:
    """Whether the process is a Python with a command line, nothing frozen in one."""
    return bool(sys.executable and sys.orig_argv) and not hasattr(sys, "frozen")


def _can_be_had() -> bool:
    """Whether kernel and C library give large pages to a program that asks."""
    if sys.platform != "linux":
        return False
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = (int(part) for part in version.split(".")[:2])
        # With [always] there is nothing to ask for, with [never] nothing to get.
        return (
            name == "glibc"
            and (major, minor) >= _SINCE
            and "[madvise]" in _KERNEL.read_text()
        )
    except (OSError, ValueError):
        return False
