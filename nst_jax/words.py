"""What a run says of itself: at its start, in a dry run, and when something fails."""

import platform
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from nst_jax import __version__, guard, metrics
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import Config
from nst_jax.memory import Need
from nst_jax.mesh import Layout
from nst_jax.record import Files, Kept
from nst_jax.solve import Halt, Recovery
from nst_jax.tiles import Plan

Shape = tuple[int, int]

_FAULTS = {
    guard.BROKEN: "the loss stopped being finite",
    guard.EXPLODED: "the loss exploded",
    guard.RISEN: "the loss stayed above that of plain grey",
    guard.STALLED: "the line search found no lower loss",
}


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
    room: Sequence[str],
    to_fetch: int,
) -> str:
    """What a dry run prints after the first line."""
    sizes = ", ".join(f"{columns}x{rows}" for rows, columns in styles)
    settings = config.objective
    lines = [
        f"style at {sizes}; first image: {config.inputs.init}",
        f"content layers {' '.join(settings.content_layers)}",
        f"style layers {' '.join(settings.style_layers)}",
        *room,
    ]
    if to_fetch:
        lines.append(f"weights to be fetched ({to_fetch / 1e6:.0f} MB)")
    names = f"{files.output}, {files.flags} and {files.record}"
    lines.append(f"would write {names}; wrote nothing")
    return "\n".join(lines)


def memory(
    need: Need, there: int, largest: int, plan: Plan, layout: Layout | None = None
) -> list[str]:
    """What a dry run prints of the memory: how much, of how much, in which windows."""
    each = " on each device" if layout else ""
    lines = [
        f"memory{each}: about {_bytes(need.total)} of {_bytes(there)}: features "
        f"{_bytes(need.features)}, optimiser {_bytes(need.optimizer)}, pictures and "
        f"targets {_bytes(need.pictures)}, network {_bytes(need.network)}",
        f"the largest size that fits: {largest}",
    ]
    if layout:
        held = f"{layout.share} rows" if layout.share else "a copy"
        count = layout.mesh.size
        lines.append(f"each of {count} devices holds {held} of image and optimiser")
    for stage in plan:
        rows, columns = stage.window
        lines.append(
            f"behind {stage.after or 'the image'}: {stage.number} window"
            f"{'s' * (stage.number != 1)} of {columns}x{rows}"
        )
    return lines


def shortened(config: Config) -> str:
    """That the history was shortened to fit."""
    return (
        f"--history={config.optimizer.history}, so that it fits into memory; "
        "--optimizer=adam takes less"
    )


def facts(config: Config, device: str, weights: Weights, origin: str) -> dict[str, str]:
    """What a result was made with, for its report."""
    versions = ", ".join(f"{name} {number}" for name, number in packages().items())
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


def packages() -> dict[str, str]:
    """The versions that decide the numbers."""
    names = ("jax", "jaxlib", "flax", "optax", "numpy")
    return {name: metadata.version(name) for name in names}


def terms(found: LossTerms) -> dict[str, float]:
    """The weighted terms by name."""
    row = metrics.row(0, 0, found)
    return {name: float(row[name]) for name in row if name not in ("step", "seconds")}


def recovery(found: Recovery, optimizer: str) -> str:
    """What went wrong on the way, and how the run goes on."""
    how = (
        "without L-BFGS's history"
        if optimizer == "lbfgs"
        else f"at the rate {found.rate:.3g}"
    )
    return f"{_FAULTS[found.fault]} after step {found.step}; it goes on there {how}"


def recovered(found: Recovery) -> dict[str, Any]:
    """The same for the record."""
    return {"step": found.step, "fault": _FAULTS[found.fault], "rate": found.rate}


def halt(why: Halt, step: int, shape: Shape) -> str:
    """Why a scale ends before its last step."""
    reasons = {"settled": "the loss has settled", "time": "its time is up"}
    return f"{reasons[why]} at {shape[1]}x{shape[0]} after step {step}"


def enlarged(done: Shape, shape: Shape) -> str:
    """That there was no time for the scales to come."""
    return (
        f"its time is up before {shape[1]}x{shape[0]}: the picture of "
        f"{done[1]}x{done[0]} is enlarged to it"
    )


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


def divergence(step: int, fault: int = guard.BROKEN) -> str:
    """The loss that got out of bounds, and what may help."""
    return (
        f"{_FAULTS[fault]} after step {step}; try a smaller "
        f"--learning_rate or --precision=float32"
    )


def _bytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**33 else f"{count / 2**30:.0f} GiB"
