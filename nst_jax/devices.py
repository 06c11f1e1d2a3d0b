"""Which device does the work, and the precision that it has.

Meshes and several processes will live here too; nothing else asks JAX what it
is running on.
"""

import functools
import os
import shutil

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


def convolution(asked: str, device: jax.Device) -> Products:
    """How convolutions are made on this device when `asked` so.

    Accelerators come with libraries that choose for themselves.
    """
    if asked == "auto":
        return "winograd" if device.platform == "cpu" else "direct"
    return "winograd" if asked == "winograd" else "direct"


def warning(device: jax.Device) -> str | None:
    """What to install when this machine has an NVIDIA GPU that JAX cannot use."""
    if device.platform != "cpu" or not shutil.which("nvidia-smi"):
        return None
    if any(other.platform == "gpu" for other in _seen(None)):
        return None
    return f"this machine has an NVIDIA GPU that JAX cannot use; {_REMEDIES['gpu']}"


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
