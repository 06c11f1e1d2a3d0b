"""Where compiled programs are kept, so that the next run starts at once.

JAX does the keeping; here is only where, how much, and that it stays quiet. The user's
own settings of JAX win; `JAX_ENABLE_COMPILATION_CACHE=0` turns it off.
"""

import contextlib
import hashlib
import os
import platform
import time
from pathlib import Path

from nst_jax import disk

_LIMIT = 2**30  # bytes; the programs that were not used for longest go first
_WRITTEN_WITHIN = 600.0  # seconds


def keep() -> None:
    """Has JAX keep what it compiles. Before JAX is imported."""
    # jax 0.10 prints pages about the processor for each program it reads
    # (jax-ml/jax#38445); what goes wrong is raised, not printed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return  # A limit of ours would delete what others keep there.
    folder = _folder()
    if folder is None:
        return
    _remove_halves(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_LIMIT))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def _remove_halves(folder: Path) -> None:
    """Deletes programs whose writing was cut off: JAX would stumble over them.

    Each has a file beside it with the time of its last use, written after it.
    """
    for path in folder.glob("*-cache"):
        beside = path.with_name(path.name.removesuffix("-cache") + "-atime")
        with contextlib.suppress(OSError):  # another run may delete it too
            is_old = time.time() - path.stat().st_mtime > _WRITTEN_WITHIN
            if is_old and not beside.exists():
                path.unlink()


def _folder() -> Path | None:
    """A folder of this user on this kind of processor, if it can be written."""
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("nst_jax", appauthor=False))
    folder = cache / "compiled" / processor()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        disk.probe(folder)
    except OSError:
        return None
    return folder


def processor() -> str:
    """A name for what this processor can do.

    A home may be shared by machines, and a program for one may be more than another
    can run.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    text = " ".join((platform.machine(), platform.processor(), found))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
