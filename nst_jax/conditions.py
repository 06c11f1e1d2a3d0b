"""What a run has to be made with again, to be the same to the bit.

Versions, device and processor, the compiler's options, and how the memory at hand has
had it done: in which windows, with how long a history.
"""

import hashlib
import os
import platform
from collections.abc import Sequence

from nst_jax import __version__, compiled, devices, memory, prepare, words
from nst_jax.config import Config

Shape = tuple[int, int]


def here(
    config: Config, shapes: Sequence[Shape], styles: Sequence[Shape]
) -> dict[str, str]:
    """Each by its name, on JAX's default device.

    Args:
        config: all settings, resolved and fitted into memory.
        shapes: of the picture, from coarse to fine.
        styles: of the style's pictures.
    """
    device = devices.current()
    found = {
        "nst-jax": __version__,
        **words.packages(),
        "python": platform.python_version(),
        "device": devices.described(config.spread.devices),
        "windows": _windows(config, shapes, styles),
    }
    if device.platform == "cpu":
        found["processor"] = compiled.processor()
    if config.optimizer.optimizer == "lbfgs":
        found["history"] = str(config.optimizer.history)
    options = os.environ.get("XLA_FLAGS", "").split()
    return found | ({"XLA_FLAGS": " ".join(sorted(options))} if options else {})


def _windows(config: Config, shapes: Sequence[Shape], styles: Sequence[Shape]) -> str:
    """How the pictures are looked at: whole, or so many windows and what tells them."""
    how = prepare.forward(config)
    plans = [memory.plan(shape, config, how) for shape in shapes]
    plans += [memory.style_plan(shape, config, how) for shape in styles]
    count = sum(stage.number for plan in plans for stage in plan)
    if not count:
        return "none"
    return f"{count} ({hashlib.sha256(repr(plans).encode()).hexdigest()[:8]})"
