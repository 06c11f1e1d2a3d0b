"""What `test_devices` asks of eight devices: a program of its own, as JSON.

Devices that a CPU pretends to have are made when JAX starts, so not in the process
that runs the tests.
"""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import devices, layers, mesh, objective, prepare, transfer
from nst_jax.arrays import Preprocessing, Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    MemoryConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SolveConfig,
    SpreadConfig,
)
from nst_jax.pictures import Pictures

GOAL = ObjectiveConfig(
    content_layers=("relu1_2", "pool1:0.3"),
    style_layers=("relu1_1", "relu2_1"),
    tv_range=1.0,
    tv_weight=0.5,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def weights():
    """A network of VGG19's shape with random numbers, kept to block 2."""
    generator = np.random.default_rng(0)
    params = {}
    for row in layers.up_to(("relu2_1",), "vgg19"):
        if row.kind == "conv":
            shape = (3, 3, row.inputs, row.channels)
            kernel = generator.normal(size=shape) * (2 / (9 * row.inputs)) ** 0.5
            bias = generator.normal(size=row.channels) * 0.1
            params[row.name] = {
                "kernel": jnp.asarray(kernel, jnp.float32),
                "bias": jnp.asarray(bias, jnp.float32),
            }
    shift = jnp.asarray([0.9, 1.0, 1.1], jnp.float32)
    seen = Preprocessing(jnp.float32(2.0), shift, jnp.full(3, 0.6, jnp.float32))
    return Weights("vgg19", params, seen, "random", "", "")


def found(pictures, config):
    """Total and gradient at an image, the layout, and the compiled program."""
    how, problem = prepare.problem(pictures, weights(), config)
    image = mesh.laid(how.layout, noise(*pictures.content.shape, seed=9))

    def total(problem, image):
        return objective.terms(how, problem, image).total

    program = jax.jit(
        jax.value_and_grad(total, argnums=1), compiler_options=dict(devices.thrift())
    )
    compiled = program.lower(problem, image).compile()
    value, slope = compiled(problem, image)
    bare = mesh.bare(how.layout, slope) if how.layout else np.asarray(slope)
    return float(value), bare, how, compiled


def compared(pictures, config, ways):
    """How far loss and gradient on several devices are from those on one."""
    whole = dataclasses.replace(config, memory=MemoryConfig(tile="none"))
    value, slope, _, _ = found(pictures, whole)
    for tile, count, spread in ways:
        there = dataclasses.replace(
            config,
            memory=MemoryConfig(tile=tile),
            spread=SpreadConfig(devices=count, spread=spread),
        )
        its, its_slope, how, compiled = found(pictures, there)
        text = compiled.as_text()
        rows, columns, _ = pictures.content.shape
        canvas = how.layout.mesh.size * how.layout.share
        whole = [f"f32[{count},{columns},3]" in text for count in (rows, canvas)]
        sent = re.findall(r"f32\[([\d,]*)\][^=]*(?:all-gather|all-to-all)\(", text)
        yield {
            "loss": abs(its - value) / abs(value),
            "slope": float(np.linalg.norm(its_slope - slope) / np.linalg.norm(slope)),
            "devices": how.layout.mesh.size,
            "share": how.layout.share,
            "windows": [stage.number for stage in how.plan],
            "gathered": sent,
            "has_whole": any(whole),
        }


def masked():
    """Regions, two styles, protection, a fill, a wrap and odd rows."""
    shape = 41, 44
    share = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :].repeat(shape[0], 0)
    goal = dataclasses.replace(
        GOAL, style_weights=(0.7, 0.3), tv_loss="absolute", content_loss="scaled"
    )
    config = Config(
        objective=goal,
        network=NetworkConfig(pooling="avg", pool_rounding="ceil", padding="zero"),
        control=ControlConfig(wrap="x", region_weights=(1.0, 0.4)),
    )
    return config, Pictures(
        noise(*shape, 3),
        (noise(20, 22, 3, seed=1), noise(20, 22, 3, seed=2)),
        regions=np.stack([share, 1 - share], 2),
        style_regions=tuple(noise(20, 22, 2, seed=seed) for seed in (5, 6)),
        protect=noise(*shape, seed=3),
        fill=noise(*shape, seed=4),
    )


def run(devices_, spread, optimizer, keep="last", scales="none"):
    """A whole transfer."""
    config = Config(
        objective=ObjectiveConfig(
            content_layers=("relu1_1",), style_layers=("relu1_1",), tv_weight=0.1
        ),
        memory=MemoryConfig(tile="16") if devices_ != "1" else MemoryConfig(),
        spread=SpreadConfig(devices=devices_, spread=spread),
        optimizer=OptimizerConfig(optimizer=optimizer, history=3),
        solve=SolveConfig(steps=4, keep=keep, scales=scales),
    )
    content, style = noise(43, 41, 3), noise(20, 22, 3, seed=1)
    made = transfer.stylize(content, style, weights(), config)
    return made.image, float(made.terms.total)


def main():
    config, pictures = masked()
    ways = [("auto", "8", "rows"), ("16", "4", "copies")]
    cases = list(compared(pictures, config, ways))
    one = run("1", "auto", "adam", "last", "20,43")
    several = run("2", "rows", "adam", "last", "20,43")
    whole = {
        "loss": abs(one[1] - several[1]) / abs(one[1]),
        "image": float(np.abs(one[0] - several[0]).max()),
    }
    print(json.dumps({"devices": jax.device_count(), "cases": cases, "run": whole}))


if __name__ == "__main__":
    main()
