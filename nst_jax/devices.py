"""Which device does the work, and the precision that it has.

Nothing else asks JAX what it is running on.
"""

import collections
import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp

from nst_jax.convolution import Precision, Products
from nst_jax.errors import RequestError

# What lets JAX use a device of a kind: the extras of this package.
_REMEDIES = {
    "gpu": "for an NVIDIA GPU on Linux: "
    'python -m pip install -e ".[cuda13]" (or ".[cuda12]" for older drivers)',
    "tpu": 'for a Google TPU: python -m pip install -e ".[tpu]"',
}


def pick(name: str) -> jax.Device:
    """The device called `auto`, `cpu`, `gpu`, `tpu`, or with a number `gpu:1`."""
    kind, _, number = name.partition(":")
    found = _seen(None if kind == "auto" else kind)
    if int(number or 0) < len(found):
        return found[int(number or 0)]
    there = ", ".join(f"{d.platform}:{d.id}" for d in _seen(None)) or "no device"
    raise RequestError(f"--device={name} is not there; {_remedy(kind, found, there)}")


def at_hand(name: str) -> list[jax.Device]:
    """The devices of this machine that `--device` allows, to do a job each."""
    first = pick(name)
    if ":" in name:
        return [first]
    return [each for each in _seen(first.platform) if _is_here(each)]


def _is_here(device: jax.Device) -> bool:
    return device.process_index == jax.process_index()


def several(asked: str) -> tuple[jax.Device, ...]:
    """The devices that share a picture, as `--devices` asks; none if one does it all.

    They are of the kind of the current one, and those of all processes where there are
    several.
    """
    found, processes = jax.devices(current().platform), jax.process_count()
    count = {"auto": len(found) if processes > 1 else 1, "all": len(found)}.get(asked)
    count = count or int(asked)
    if processes > 1 and count != len(found):
        raise RequestError(
            f"--devices={asked} must be all {len(found)} of the {processes} processes; "
            "leave it out"
        )
    if count > len(found):
        more = (
            "; --device=cpu makes any number of it"
            if found[0].platform == "cpu"
            else ""
        )
        raise RequestError(
            f"--devices={asked} must be at most the {len(found)} of kind "
            f"{found[0].platform} that JAX sees{more}"
        )
    return tuple(found[:count]) if count > 1 else ()


def _remedy(kind: str, found: list[jax.Device], there: str) -> str:
    """What JAX sees instead, and how it would see what was asked for."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if found or kind not in _REMEDIES:
        return f"JAX sees {there}; choose one of them"
    # The program itself sets it for the CPU only.
    if asked:
        return f"JAX sees {there}, as JAX_PLATFORMS={asked!r} says; unset it"
    return f"JAX sees {there}; {_REMEDIES[kind]}"


def current() -> jax.Device:
    """The device that new arrays are put on."""
    return jnp.zeros(()).devices().pop()


def _seen(platform: str | None) -> list[jax.Device]:
    try:
        # Those of this process, where there are several.
        return jax.local_devices(backend=platform)
    except (RuntimeError, AssertionError):  # not there, or it does not start
        return []


def described(asked: str) -> str:
    """The devices in words, for the first line of a run."""
    found = several(asked)
    if not found:
        return describe(current())
    processes = jax.process_count()
    of = f" of {processes} processes" if processes > 1 else ""
    return f"{len(found)} devices{of}, each {describe(found[0])}"


def describe(device: jax.Device) -> str:
    """A device in words."""
    if device.platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        return f"CPU ({cores or os.cpu_count()} cores)"
    return f"{device.device_kind} ({device.platform}:{device.id})"


def precision(asked: str, device: jax.Device) -> Precision:
    """What the network's products are made in, on this device, when `asked` so.

    `auto` is each device's own habit; `tf32` exists on GPUs only and is float32
    elsewhere.
    """
    platform = device.platform
    if asked == "auto":
        asked = {"cpu": "float32", "gpu": "tf32", "tpu": "mixed"}.get(
            platform, "float32"
        )
    if asked == "mixed":
        return "mixed"
    return "tf32" if asked == "tf32" and platform == "gpu" else "float32"


def convolution(asked: str, device: jax.Device) -> Products:
    """How convolutions are made on this device when `asked` so.

    Accelerators come with libraries that choose for themselves.
    """
    if asked == "auto":
        return "winograd" if device.platform == "cpu" else "direct"
    return "winograd" if asked == "winograd" else "direct"


def sharing(asked: str) -> int:
    """How many of the devices that share a picture have one memory together.

    Of several processes that which has most, so that all know the same.
    """
    found = several(asked)
    if not found or found[0].platform != "cpu":
        return 1
    return max(collections.Counter(each.process_index for each in found).values())


def memory(device: jax.Device | None = None) -> int:
    """Bytes of memory that there are, for all programs together.

    Of a CPU, those of this machine, or of the container where that has less.
    """
    device = device or current()
    known = device.memory_stats() if device.platform != "cpu" else None
    if known and "bytes_limit" in known:
        return int(known["bytes_limit"])
    limits = [_machine_memory(), *_container_memory()]
    return min(limits)


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell so
        return 2**63


def _container_memory(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What groups of processes that this one is in may take; Linux's cgroups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, name = line.split(":", 2)
        if kinds not in ("", "memory") and "memory" not in kinds.split(","):
            continue
        top = root / "memory" if kinds else root
        file = "memory.limit_in_bytes" if kinds else "memory.max"
        folder = top / name.lstrip("/")
        # Within a container its own group may be seen as the root.
        for each in (folder, *folder.parents):
            if each.is_relative_to(top):
                yield from _number(each / file)


def _number(path: Path) -> Iterator[int]:
    try:
        text = path.read_text().strip()
    except OSError:
        return
    if text.isdigit():  # or `max`
        yield int(text)


def thrift() -> tuple[tuple[str, str], ...]:
    """Options of the compiler for programs that are to take little memory.

    On a CPU it orders what it computes by memory, which by default it does not: a
    step's features take three fifths, in the same time, to the same bits.
    """
    return _thrift(current().platform)


@functools.cache
def _thrift(platform: str) -> tuple[tuple[str, str], ...]:
    option = ("xla_cpu_scheduler_type", "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED")
    if platform != "cpu":
        return ()
    try:
        jax.jit(lambda: 0, compiler_options=dict([option])).lower().compile()
    except Exception:  # an older jax does not know it, and has no type for that
        return ()
    return (option,)


def warning(device: jax.Device) -> str | None:
    """What to install when this machine has an NVIDIA GPU that JAX cannot use."""
    if device.platform != "cpu" or not shutil.which("nvidia-smi"):
        return None
    if any(other.platform == "gpu" for other in _seen(None)):
        return None
    return f"this machine has an NVIDIA GPU that JAX cannot use; {_REMEDIES['gpu']}"


def compile_seconds() -> float:
    """The seconds that XLA has compiled since this was first asked."""
    return sum(compilations())


@functools.cache
def compilations() -> list[float]:
    """The duration of each since then, growing; JAX tells whoever has registered."""
    found: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return found
