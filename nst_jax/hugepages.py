"""Memory in pages of 2 MiB instead of 4 KiB: a tenth off a step on a Linux CPU.

A step goes through hundreds of megabytes, and each small page of fresh memory costs a
fault. Where the kernel gives large pages to those who ask (`madvise`), the C library
asks for a program whose environment said so when it started; so the program is
started once more, before it has done anything.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_ASKED = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SINCE = (2, 35)  # of the C library
# Tells the second start from the first: the system may take the tunable away from
# programs that have rights of their own, and they would start for ever.
_AGAIN = "nst_jax_again"


def use() -> None:
    """Starts the process again, as it was called, with large pages if that helps.

    A `GLIBC_TUNABLES` that says something of them is left alone; `=0` refuses them.
    """
    wanted = environment()
    if not wanted or _AGAIN in sys._xoptions or not _is_ours():
        return
    arguments = [sys.executable, "-X", _AGAIN, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, arguments, {**os.environ, **wanted})
    except OSError:
        return  # It goes as well without, only slower.


def environment() -> Mapping[str, str]:
    """What a process has to be started with; empty if it has that or cannot have it."""
    tunables = os.environ.get(_TUNABLES, "")
    if _ASKED in tunables or not _can_be_had():
        return {}
    return {_TUNABLES: ":".join(each for each in (tunables, f"{_ASKED}=1") if each)}


def _is_ours() -> bool:
    """Whether the process is this program and nothing else, nobody looking into it.

    A notebook, a script that calls the program, a test runner or a debugger would be
    started again themselves.
    """
    if not (sys.executable and sys.orig_argv) or hasattr(sys, "frozen"):
        return False
    if sys.gettrace() or sys.getprofile():
        return False
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m
        return str(spec.name).partition(".")[0] == __package__
    return Path(getattr(main, "__file__", None) or "").name == "nst-jax"


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
