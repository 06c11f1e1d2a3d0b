"""What a result was measured on, as far as it can be read; knows no JAX."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import nst_jax

NOT_READABLE = "not readable"
# What changes how fast it goes; other variables are nobody's business.
_VARIABLES = (
    *("XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION"),
    *("JAX_PLATFORMS", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("MKL_NUM_THREADS", "LIBTPU_INIT_ARGS", "CUDA_VISIBLE_DEVICES", "NPROC"),
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "pillow", "torch")


def facts() -> dict[str, str]:
    """Processor, threads, memory, system, versions and settings of this process."""
    return {
        "processor": _processor(Path("/proc/cpuinfo")),
        "clock MHz": _clock(Path("/proc/cpuinfo")),
        "threads": threads(),
        "quota": quota(Path("/sys/fs/cgroup")),
        "load": _load(),
        "memory": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": ", ".join(f"{k} {v}" for k, v in versions().items()),
        "environment": " ".join(f"{k}={v}" for k, v in variables(os.environ).items()),
        "program": f"nst-jax {nst_jax.__version__}",
        "commit": commit(Path(nst_jax.__file__).parents[1]),
    }


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that change how fast it goes."""
    return {name: environment[name] for name in _VARIABLES if name in environment}


def versions() -> dict[str, str]:
    """The packages that do the work."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path) -> str:
    """The commit of a checkout, and whether it was changed since."""
    if not (root / ".git").exists():
        return "no checkout"
    git = ("git", "-C", str(root))
    try:
        head = _output(*git, "rev-parse", "HEAD")
        changed = _output(*git, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return NOT_READABLE
    return f"{head}, changed since" if changed else head


def quota(cgroup: Path) -> str:
    """The share of processors that a container may use."""
    try:
        text = (cgroup / "cpu.max").read_text()
    except OSError:
        try:
            folder = cgroup / "cpu"
            limit = (folder / "cpu.cfs_quota_us").read_text().strip()
            text = f"{limit} {(folder / 'cpu.cfs_period_us').read_text()}"
        except OSError:
            return NOT_READABLE
    try:
        limit, period = text.split()
        if limit in ("max", "-1"):
            return "none"
        return f"{int(limit) / int(period):g} processors"
    except (ValueError, ZeroDivisionError):
        return NOT_READABLE


def threads() -> str:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return str(len(os.sched_getaffinity(0)))
    return str(os.cpu_count() or NOT_READABLE)


def busy() -> str | None:
    """A warning where other programs are at work, which no statistics mend."""
    try:
        load, own = os.getloadavg()[0], int(threads())
    except (OSError, AttributeError, ValueError):
        return None
    if load < own / 2:
        return None
    return (
        f"other programs were at work at the start (load {load:.1f} on {own} "
        f"processors): no figure here is to be trusted, ratios least"
    )


def _output(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()


def _processor(path: Path) -> str:
    names = _rows(path, "model name")
    if names:
        return names[0]
    if sys.platform == "darwin":
        try:
            return _output("sysctl", "-n", "machdep.cpu.brand_string")
        except (OSError, subprocess.SubprocessError):
            return NOT_READABLE
    return platform.processor() or NOT_READABLE


def _clock(path: Path) -> str:
    clocks = _rows(path, "cpu MHz")
    return max(clocks, key=float) if clocks else NOT_READABLE


def _rows(path: Path, name: str) -> list[str]:
    """The values of that name in a file of `name : value` rows."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    pairs = (line.partition(":") for line in text.splitlines())
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def _load() -> str:
    try:
        return f"{os.getloadavg()[0]:.2f}"
    except (OSError, AttributeError):
        return NOT_READABLE


def _memory() -> str:
    rows = _rows(Path("/proc/meminfo"), "MemTotal")
    return rows[0] if rows else NOT_READABLE
