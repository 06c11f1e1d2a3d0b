"""What a device tells of itself: driver, clocks, power, and the energy it has used.

NVIDIA's by its own program and library, a processor's by Linux. Where nobody tells,
nothing is said. Knows no JAX.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from nst_jax.benchmark.machine import NOT_READABLE

_QUERIES = {
    "driver": "driver_version",
    "GPU clock MHz": "clocks.sm",
    "largest clock MHz": "clocks.max.sm",
    "memory clock MHz": "clocks.mem",
    "power limit W": "power.limit",
    "temperature C": "temperature.gpu",
}
# Joules since some moment, or None where that cannot be read.
Meter = Callable[[], float | None]


def gpu(index: int | None) -> dict[str, str]:
    """What nvidia-smi says of one GPU at this moment."""
    unknown = dict.fromkeys(_QUERIES, NOT_READABLE)
    program = shutil.which("nvidia-smi")
    if program is None or index is None:
        return unknown
    fields = ",".join(_QUERIES.values())
    command = (program, f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(
            (*command, "-i", str(index)),
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return unknown
    values = [each.strip() for each in done.stdout.strip().split(",")]
    if len(values) != len(_QUERIES):
        return unknown
    # It puts what it does not know in brackets.
    return {
        name: NOT_READABLE if value.startswith("[") else value
        for name, value in zip(_QUERIES, values, strict=True)
    }


def system_index(number: int, visible: str | None) -> int | None:
    """The system's number of the GPU that a program sees as that number.

    >>> system_index(1, "3,2"), system_index(1, None), system_index(0, "GPU-8f")
    (2, 1, None)
    """
    if visible is None:
        return number
    shown = [each.strip() for each in visible.split(",")]
    if number < len(shown) and shown[number].isdigit():
        return int(shown[number])
    return None


def meter(platform: str, number: int) -> Meter:
    """The energy meter of a device of JAX's, which may tell nothing."""
    if platform == "cpu":
        return lambda: _processor(Path("/sys/class/powercap/intel-rapl:0/energy_uj"))
    index = system_index(number, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if platform != "gpu" or index is None:
        return lambda: None
    return _nvidia(index)


def used(before: float | None, after: float | None) -> float | None:
    """Joules between two readings, if both are there and the meter did not wrap."""
    if before is None or after is None or after < before:
        return None
    return after - before


def _processor(path: Path) -> float | None:
    try:
        return int(path.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def _nvidia(index: int) -> Meter:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        handle = ctypes.c_void_p()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(
            ctypes.c_uint(index), ctypes.byref(handle)
        ):
            return lambda: None
    except (OSError, AttributeError):
        return lambda: None

    def read() -> float | None:
        millijoules = ctypes.c_ulonglong()
        fails = library.nvmlDeviceGetTotalEnergyConsumption(
            handle, ctypes.byref(millijoules)
        )
        return None if fails else millijoules.value / 1e3

    return read
