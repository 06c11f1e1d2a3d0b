"""What very large pictures cost on machines nobody here has, on paper.

    python scripts/scale_model.py

Operations, bytes and communication of a step of the default objective, from the same
plan and layer tables as a run's. Nothing is measured; docs/scale.md says what is
assumed.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import fitting, footprint, layers, mesh, optimizers, tiles, vgg
from nst_jax.config import ObjectiveConfig, OptimizerConfig

_FLOAT = 4
_SIDES = {1: 2**15, 4: 2**16, 16: 2**17}  # pixels of a square of so many gigapixels
# Of the peak that convolutions reach, and of the links.
_REACHED, _LINKS = 0.4, 0.8
# Image-sized arrays beside the optimiser's state: the image and the last good one, the
# gradient, the update, the new image, and one that the compiler lays by.
_IMAGES = 6


class Machine(NamedTuple):
    """Devices by their data sheets."""

    name: str
    devices: int
    memory: float  # bytes of each
    peak: float  # FLOP/s of each in the precision it would use
    bandwidth: float  # bytes/s between memory and chip
    link: float  # bytes/s to neighbours, each way, all together


MACHINES = (
    Machine("8 x H200, NVLink", 8, 141e9, 494e12, 4.8e12, 450e9),
    Machine("TPU v5e-16", 16, 16e9, 197e12, 0.819e12, 100e9),
)
_HEAD = (
    *("Gpx", "optimiser", "state GB", "targets GB", "features GB", "devices needed"),
    *("windows a device", "work", "PFLOP", f"s at {_REACHED:.0%}", "GB sent"),
    f"s at {_LINKS:.0%}",
)
OPTIMIZERS = {
    "Adam": OptimizerConfig(optimizer="adam"),
    "L-BFGS, history 10": OptimizerConfig(optimizer="lbfgs", history=10),
    "L-BFGS, history 3": OptimizerConfig(optimizer="lbfgs", history=3),
}


def main() -> None:
    goal = ObjectiveConfig()
    content = tuple(layers.weighted(goal.content_layers, "vgg19"))
    style = tuple(layers.weighted_each(goal.style_layers, "vgg19"))
    names = (*content, *style)
    flop = 2 * 2 * sum(_products(row) for row in layers.up_to(names, "vgg19"))
    print(f"algorithmic: {flop / 1e6:.2f} MFLOP a pixel, forward and gradient")
    for machine in MACHINES:
        print(f"\n### {machine.name}\n")
        print("| " + " | ".join(_HEAD) + " |")
        print("|---:|---|" + "---:|" * (len(_HEAD) - 2))
        for gigapixels, side in _SIDES.items():
            for name, settings in OPTIMIZERS.items():
                _row(machine, gigapixels, side, name, settings, flop, names, content)


def _row(
    machine: Machine,
    gigapixels: int,
    side: int,
    name: str,
    settings: OptimizerConfig,
    flop: float,
    names: tuple[str, ...],
    content: tuple[str, ...],
) -> None:
    unit = layers.stride(names, "vgg19")
    share = tiles.share(side, machine.devices, unit)
    used = footprint.Network(
        names, vgg.Forward(), shares=tiles.Shares(machine.devices, share)
    )
    shape, part = (side, side), (share, side)
    state = _state(settings, part) + _IMAGES * 12 * math.prod(part)
    targets = footprint.whole_maps(used, part, content)
    room = 0.9 * machine.memory - state - targets - 2e8
    plan = fitting.least_work(used, shape, int(max(0, room)))
    features = footprint.stepping(used, plan, shape)
    # Windows can always be smaller; what does not fit is what a device holds anyway.
    held = machine.devices * (state + targets) / (0.9 * machine.memory - features)
    cells = [gigapixels, name, *(f"{n / 1e9:.1f}" for n in (state, targets, features))]
    if features > room:
        empty = [""] * (len(_HEAD) - len(cells) - 1)
        print("|", *(f"{each} |" for each in (*cells, math.ceil(held), *empty)))
        return
    work = footprint.work(used, plan, shape) * machine.devices
    done = work * flop * side**2 / machine.devices
    sent = _sent(used, plan)
    cells += [
        "these",
        " + ".join(str(stage.number // machine.devices) for stage in plan),
        f"{work:.2f}",
        f"{done / 1e15:.2f}",
        f"{done / machine.peak / _REACHED:.1f}",
        f"{sent / 1e9:.2f}",
        f"{sent / machine.link / _LINKS:.3f}",
    ]
    print("|", *(f"{each} |" for each in cells))


def _products(row: layers.Layer) -> float:
    """Multiplications of a layer for a pixel of the picture."""
    if row.kind != "conv":
        return 0
    return 9 * row.inputs * row.channels / row.stride**2


def _state(settings: OptimizerConfig, shape: tuple[int, int]) -> int:
    image = jax.ShapeDtypeStruct((*shape, 3), jnp.float32)
    state = jax.eval_shape(optimizers.make(settings).init, image)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def _sent(used: footprint.Network, plan: tiles.Plan) -> float:
    """Bytes that a device in the middle sends in a step.

    Of what each stage is given, the rows that neighbours look at: once forward, once
    where it is computed again, and as many slopes back. The sums of the layers go round
    twice (a ring's all-reduce).
    """
    found = 0.0
    rows = {row.name: row for row in layers.table("vgg19")}
    for stage in plan:
        stride = rows[stage.after].stride if stage.after else 1
        strip = mesh.strip(stage.rows, used.shares, stride)
        channels = rows[stage.after].channels if stage.after else 3
        width = stage.columns.length
        found += 3 * (strip.above + strip.below) * width * channels * _FLOAT
    moments = sum(rows[name].channels ** 2 for name in used.names)
    return found + 2 * _FLOAT * moments


if __name__ == "__main__":
    main()
