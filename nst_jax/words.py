"""What a run says of itself: at its start, in a dry run, and when something fails."""

import platform
import traceback
from collections.abc import Sequence
from importlib import metadata

from nst_jax import __version__
from nst_jax.arrays import Weights
from nst_jax.config import Config
from nst_jax.record import Files, Kept

Shape = tuple[int, int]


def first_line(
    config: Config, files: Files, shapes: Sequence[Shape], device: str
) -> str:
    """Device, precision, network and weights, size and steps."""
    network, steps = config.network, files.steps
    *coarse, (rows, columns) = shapes if steps else shapes[-1:]
    start = f" from {max(coarse[0])} px" if coarse else ""
    weights = (
        "random weights, for tests and timing only"
        if network.weights == "random"
        else network.weights
    )
    return (
        f"{device}, {network.precision}, {network.network} ({weights}), "
        f"{columns}x{rows}{start}, {steps} step{'s' * (steps != 1)} of "
        f"{config.optimizer.optimizer}"
    )


def plan(
    config: Config,
    files: Files,
    styles: Sequence[Shape],
    memory: int | None,
    to_fetch: int,
) -> str:
    """What a dry run prints after the first line."""
    sizes = ", ".join(f"{columns}x{rows}" for rows, columns in styles)
    peak = f"about {_bytes(memory)}" if memory else "unknown here"
    settings = config.objective
    lines = [
        f"style at {sizes}; first image: {config.inputs.init}",
        f"content layers {' '.join(settings.content_layers)}",
        f"style layers {' '.join(settings.style_layers)}",
        f"memory of the device: {peak}",
    ]
    if to_fetch:
        lines.append(f"weights to be fetched ({to_fetch / 1e6:.0f} MB)")
    lines.append(f"would write {files.output} and {files.flags}; wrote nothing")
    return "\n".join(lines)


def facts(config: Config, device: str, weights: Weights, origin: str) -> dict[str, str]:
    """What a result was made with, for its report."""
    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return {
        **({"preset": origin} if origin else {}),
        "device": device,
        "precision": config.network.precision,
        "network": f"{weights.network}, weights {weights.name} sha256 {weights.digest}",
        "weights' licence": weights.licence,
        "program": f"nst-jax {__version__}",
        "versions": f"Python {platform.python_version()}, {versions}",
        "system": platform.platform(),
    }


def last_line(kept: Kept, steps: int, seconds: float, loss: float) -> str:
    """What came out, where nothing went wrong."""
    return (
        f"{kept.picture}: {steps} steps in {seconds:.1f} s, loss {loss:.4g}; "
        f"settings in {kept.flags}"
    )


def fault(error: Exception) -> str:
    """What broke while it ran, and what may help."""
    text = str(error).partition("\n")[0]
    # GPUs say it in capitals, the CPU in words.
    full = "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()
    if full or isinstance(error, MemoryError):
        return (
            "out of memory; try a smaller --size, a smaller --history or "
            "--optimizer=adam, and see --dry_run"
        )
    if not isinstance(error, OSError):
        traceback.print_exception(error)
    return f"it broke while running ({text or type(error).__name__})"


def divergence(step: int) -> str:
    """The loss that left the finite numbers, and what may help."""
    return (
        f"the loss stopped being finite after step {step}; try a smaller "
        f"--learning_rate or --precision=float32"
    )


def _bytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**33 else f"{count / 2**30:.0f} GiB"
