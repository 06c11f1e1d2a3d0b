"""Which device does the work, and the precision that it has.

Meshes and several processes will live here too; nothing else asks JAX what it
is running on.
"""

import functools
import os
import re
import shutil

import jax
import jax.numpy as jnp

from nst_jax.convolution import Precision
from nst_jax.errors import RequestError

_NAME = re.compile(r"(auto|cpu|gpu|tpu)(?::(\d+))?")


def pick(name: str) -> jax.Device:
    """The device called `auto`, `cpu`, `gpu`, `tpu`, or with a number `gpu:1`."""
    match = _NAME.fullmatch(name)
    if not match:
        raise RequestError(
            f"device must be auto, cpu, gpu or tpu, with a number if there are "
            f"several (gpu:1), got {name!r}"
        )
    kind, number = match.group(1), int(match.group(2) or 0)
    found = _seen(None if kind == "auto" else kind)
    if number >= len(found):
        there = ", ".join(f"{d.platform}:{d.id}" for d in _seen(None)) or "no device"
        raise RequestError(
            f"device {name} is not there; JAX sees {there} (JAX_PLATFORMS="
            f"{os.environ.get('JAX_PLATFORMS', '')})"
        )
    return found[number]


def current() -> jax.Device:
    """The device that new arrays are put on."""
    return jnp.zeros(()).devices().pop()


def _seen(platform: str | None) -> list[jax.Device]:
    try:
        return jax.devices(platform)
    except (RuntimeError, AssertionError):  # not there, or it does not start
        return []


def describe(device: jax.Device) -> str:
    """The device in words, for the first line of a run."""
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


def warning(device: jax.Device) -> str | None:
    """What to install when this machine has an NVIDIA GPU that JAX cannot use."""
    if device.platform != "cpu" or not shutil.which("nvidia-smi"):
        return None
    if any(other.platform == "gpu" for other in _seen(None)):
        return None
    return (
        "this machine has an NVIDIA GPU that JAX cannot use; to use it: "
        'python -m pip install -U "jax[cuda13]" (or "jax[cuda12]" for older drivers)'
    )


def compile_seconds() -> float:
    """The seconds that XLA has compiled since this was first asked."""
    return sum(_compilations())


@functools.cache
def _compilations() -> list[float]:
    """The duration of each, growing; JAX tells whoever has registered."""
    found: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return found
