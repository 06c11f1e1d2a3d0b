"""What the device can do at best: the fastest matrix product, by trying shapes."""

import time
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nst_jax import devices
from nst_jax.benchmark import statistics

# Rows x inner x columns; the uneven ones are convolutions of VGG as products.
_SMALL = ((1024,) * 3, (2048,) * 3, (4096, 2304, 256), (4096, 4608, 512))
_LARGE = ((4096,) * 3, (8192,) * 3, (16384, 2304, 256), (16384, 8192, 8192))
# Dense matrix products in TFLOP/s, by the vendors' datasheets, for float32, tf32 and
# bfloat16 factors; 0 where the device has no such unit.
_DATASHEETS = {
    "NVIDIA H200": (67, 494.5, 989.5),
    "NVIDIA H100 80GB HBM3": (67, 494.5, 989.5),
    "NVIDIA A100-SXM4-40GB": (19.5, 156, 312),
    "NVIDIA A100-SXM4-80GB": (19.5, 156, 312),
    "NVIDIA L4": (30.3, 60, 121),
    "Tesla V100-SXM2-16GB": (15.7, 0, 0),
    "Tesla T4": (8.1, 0, 0),
    "TPU v4": (0, 0, 275),
    "TPU v5 lite": (0, 0, 197),
    "TPU v5": (0, 0, 459),
    "TPU v5p": (0, 0, 459),
    "TPU v6 lite": (0, 0, 918),
}
_TURNS = 7
_COLUMN = {"float32": 0, "tf32": 1, "mixed": 2}


def datasheet(kind: str, precision: str) -> float | None:
    """Operations a second by the datasheet of that kind of device, if it is known.

    >>> datasheet("NVIDIA H200", "mixed")
    989500000000000.0
    """
    figure = _DATASHEETS.get(kind, (0, 0, 0))[_COLUMN[precision]]
    return figure * 1e12 or None


def measure(name: str, precision: str, seconds: float) -> dict[str, Any]:
    """The best of some shapes, in operations a second, with what each gave.

    Args:
        name: of the device, as for `devices.pick`.
        precision: as of the network's products.
        seconds: for each shape.
    """
    device = devices.pick(name)
    with jax.default_device(device):
        return _best(device, precision, seconds)


def _best(device: jax.Device, precision: str, seconds: float) -> dict[str, Any]:
    shapes = _SMALL if device.platform == "cpu" else _SMALL + _LARGE
    found = {"x".join(map(str, s)): _rate(s, precision, seconds) for s in shapes}
    best = max(found, key=lambda name: found[name])
    return {
        "flops": found[best],
        "shape": best,
        "all": found,
        "datasheet": datasheet(device.device_kind, precision),
    }


def _rate(shape: tuple[int, ...], precision: str, seconds: float) -> float:
    """Operations a second of one shape: the median of several turns."""
    rows, inner, columns = shape
    factors = jnp.bfloat16 if precision == "mixed" else jnp.float32
    keys = jax.random.split(jax.random.key(0))
    a = jax.random.normal(keys[0], (rows, inner), factors)
    b = jax.random.normal(keys[1], (inner, columns), factors)
    exact = precision == "float32"

    @jax.jit
    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return lax.dot(
            a,
            b,
            precision=lax.Precision.HIGHEST if exact else lax.Precision.DEFAULT,
            preferred_element_type=jnp.float32,
        )

    def turn(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            result = product(a, b)
        jax.block_until_ready(result)
        return (time.perf_counter() - started) / times

    turn(1)
    times = max(1, int(seconds / _TURNS / max(turn(1), 1e-6)))
    middle = statistics.spread([turn(times) for _ in range(_TURNS)]).median
    return 2.0 * rows * inner * columns / middle
