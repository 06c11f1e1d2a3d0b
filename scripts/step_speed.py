"""How fast a step is, against the same step written with stock operations.

    python scripts/step_speed.py --size=512 --rounds=7

Both minimise the default objective with Adam, on pictures of noise. The stock
step is one jitted call of `lax.conv_general_dilated`, `reduce_window` and their
own gradients, called from Python; ours is the program's chunk on the device. They
take turns in one process, so that a noisy machine is noisy for both.
"""

import argparse
import functools
import platform
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import objective, optimizers, prepare, pretrained, solve, transfer
from nst_jax.config import Config, NetworkConfig, OptimizerConfig
from nst_jax.pictures import Pictures

STEPS = 3


def stock_step(
    how: objective.Recipe, problem: objective.Problem, optimizer: optimizers.Optimizer
) -> Callable[[solve.State], solve.State]:
    """One step as it is usually written: jit, value_and_grad, update."""
    plain = how._replace(forward=how.forward._replace(plain=True))

    @jax.jit
    def step(problem: objective.Problem, state: solve.State) -> solve.State:
        def loss(image: jax.Array) -> jax.Array:
            return objective.terms(plain, problem, image).total

        new = optimizer.step(loss, state.image, state.opt_state)
        return state._replace(image=new.image, opt_state=new.opt_state)

    return functools.partial(step, problem)


def seconds_a_step(advance: Callable[[], jax.Array]) -> float:
    """The time of STEPS steps, divided by their number."""
    started = time.perf_counter()
    jax.block_until_ready(advance())
    return (time.perf_counter() - started) / STEPS


def report(name: str, seconds: list[float]) -> str:
    """A row of the table: median and range."""
    low, high = min(seconds), max(seconds)
    middle = statistics.median(seconds)
    return f"| {name} | {middle:.3f} | {low:.3f} to {high:.3f} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pooling", choices=["avg", "max"], default="avg")
    asked = parser.parse_args()
    config = Config(
        network=NetworkConfig(pooling=asked.pooling),
        optimizer=OptimizerConfig(optimizer="adam", box="step"),
    )
    shape = (asked.size, asked.size, 3)
    content, style = (jax.random.uniform(jax.random.key(i), shape) for i in (0, 1))
    weights = pretrained.load("vgg19", quiet=True)
    given = Pictures(np.asarray(content), (np.asarray(style),))
    how, problem = prepare.problem(given, weights, config)
    optimizer = optimizers.make(config.optimizer)
    keep = (config.solve.keep, config.solve.average_decay)
    solver = transfer.solver(how, config.optimizer, *keep)
    stock = stock_step(how, problem, optimizer)

    state = {"stock": solver.init(content), "nst_jax": solver.init(content)}

    def by_stock() -> jax.Array:
        for _ in range(STEPS):
            state["stock"] = stock(state["stock"])
        return state["stock"].image

    def by_chunk() -> jax.Array:
        last = state["nst_jax"].step + jnp.int32(STEPS)
        state["nst_jax"], _ = solver.chunk(problem, state["nst_jax"], last)
        return state["nst_jax"].image

    for warm_up in (by_stock, by_chunk) * 2:  # the stock step compiles twice
        jax.block_until_ready(warm_up())
    times: dict[str, list[float]] = {"stock": [], "nst_jax": []}
    for _ in range(asked.rounds):
        times["stock"].append(seconds_a_step(by_stock))
        times["nst_jax"].append(seconds_a_step(by_chunk))
    ratios = [a / b for a, b in zip(times["stock"], times["nst_jax"], strict=True)]
    print(
        f"{jax.devices()[0].device_kind}, Python {platform.python_version()},", end=" "
    )
    print(
        f"jax {jax.__version__}, {asked.size}x{asked.size}, {asked.pooling} pooling\n"
    )
    print("| step | median s | range |\n|---|---|---|")
    print(report("stock", times["stock"]))
    print(report("nst_jax", times["nst_jax"]))
    print(report("stock / nst_jax", ratios))


if __name__ == "__main__":
    main()
