"""One job, measured phase by phase in a process of its own.

Everything is made as a run makes it; what is timed is the compiled chunk that a run
would use. Only trace and compilation are asked for by hand, so that they can be told
apart.
"""

import contextlib
import functools
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import (
    devices,
    inputs,
    job,
    memory,
    noise,
    objective,
    optimizers,
    prepare,
    solve,
    transfer,
)
from nst_jax.arrays import Image, Weights
from nst_jax.benchmark import flops, machine, pace, sensors
from nst_jax.config import Config

# In how many parts the whole job is watched.
_PARTS = 20


class Asked(NamedTuple):
    """How long to measure.

    `seconds` of steady steps; `whole` runs the job to its end as well; a `profile`
    is the folder of a trace.
    """

    seconds: float
    whole: bool
    profile: str = ""


class Made(NamedTuple):
    """A job ready to start."""

    config: Config
    how: objective.Recipe
    problem: objective.Problem
    in_chunk: objective.Problem  # the same, as the chunk takes it
    solver: solve.Solver
    image: Image  # the first
    weights: Weights
    styles: list[tuple[int, ...]]  # rows and columns


class Compiled(NamedTuple):
    """What a run would compile for its steps."""

    made: Made
    loop: pace.Loop
    program: jax.stages.Compiled


@contextlib.contextmanager
def clock(phases: dict[str, float], name: str) -> Iterator[None]:
    """Adds the time of a block to the phases."""
    started = time.perf_counter()
    yield
    phases[name] = phases.get(name, 0.0) + time.perf_counter() - started


def measure(config: Config, asked: Asked, phases: dict[str, float]) -> dict[str, Any]:
    """All figures of one job, ready for JSON; `phases` holds what was timed before."""
    with clock(phases, "device"):
        device = devices.pick(config.output.device)
        jax.block_until_ready(jnp.zeros((), device=device))
    with jax.default_device(device):
        made = make(config, phases)
        ready = _compile(made, phases)
        found = _steady(ready, asked, device, phases)
        found |= _executed(ready, found["flops_algorithmic"])
        if asked.whole:
            found |= _whole(ready)
        if asked.profile:
            _profile(ready.loop, asked.profile)
    return {
        **facts(made, device),
        "phases_s": phases,
        **found,
        "peak_bytes": memory.peaks(device),
    }


def make(config: Config, phases: dict[str, float]) -> Made:
    """The job at its last scale, with its targets."""
    config = job.resolve(config, devices.current())
    with clock(phases, "weights"):
        weights = job.load(config)
        jax.block_until_ready(weights.params)
    with clock(phases, "pictures"):
        pictures = prepare.coloured(inputs.read(config).final, config.control)
    with clock(phases, "targets"):
        how, problem = transfer.balanced_problem(pictures, weights, config)
        jax.block_until_ready(problem)
    settings = config.solve
    solver = transfer.solver(
        how, config.optimizer, settings.keep, settings.average_decay
    )
    image = noise.first_image(pictures, problem, config)
    with clock(phases, "kernels"):
        rows, columns, _ = image.shape
        in_chunk = prepare.ready(problem, how, rows * columns)
        jax.block_until_ready(in_chunk)
    styles = [style.shape[:2] for style in pictures.styles]
    return Made(config, how, problem, in_chunk, solver, image, weights, styles)


def check(config: Config) -> dict[str, Any]:
    """Where a job would run and how exactly; fetches the weights if need be."""
    device = devices.pick(config.output.device)
    with jax.default_device(device):
        config = job.resolve(config, device)
        weights = job.load(config)
    return {
        "platform": device.platform,
        "precision": config.network.precision,
        "weights": weights.name,
    }


def _compile(made: Made, phases: dict[str, float]) -> Compiled:
    start = functools.partial(first, made)
    last = jnp.int32(0)
    with clock(phases, "trace"):
        lowered = made.solver.chunk.lower(made.in_chunk, start(), last)
    with clock(phases, "compile"):
        program = lowered.compile()
    steps = max(1, made.config.solve.steps)
    return Compiled(made, pace.Loop(program, made.in_chunk, start, steps), program)


def first(made: Made) -> solve.State:
    """Where its steps begin."""
    state = made.solver.init(made.image)
    moves = optimizers.at_rate(state.opt_state, made.config.optimizer)
    return state._replace(opt_state=moves)


def _steady(
    ready: Compiled, asked: Asked, device: jax.Device, phases: dict[str, float]
) -> dict[str, Any]:
    """The first step, the warm-up, and the steps on record."""
    loop = ready.loop
    state = jax.block_until_ready(loop.start())
    with clock(phases, "first step"):
        state, _ = pace.advance(loop, state, 1)
    warm = pace.warm_up(loop, state, asked.seconds / 4)
    phases["warm-up"] = warm.seconds
    meter = sensors.meter(device.platform, device.local_hardware_id or 0)
    before = meter()
    samples = pace.steady(loop, warm.state, warm.length, asked.seconds)
    energy = sensors.used(before, meter())
    clocks = sensors.gpu(_gpu_index(device))
    kept = pace.full(samples, warm.length)
    return {
        "chunk_steps": warm.length,
        "is_stable": warm.is_stable,
        "step_s": [each.each for each in kept],
        "evaluations_per_step": _evaluations(ready, kept),
        "joules_per_step": None
        if energy is None
        else energy / sum(each.last - each.first for each in samples),
        "sensors": clocks,
        "flops_algorithmic": _algorithmic(ready.made),
    }


def _evaluations(ready: Compiled, samples: list[pace.Sample]) -> float:
    """How many evaluations a step of these samples takes, on average."""
    counts = pace.evaluations(
        ready.loop,
        max(each.last for each in samples),
        is_projected=optimizers.box(ready.made.config.optimizer) == "step",
    )
    steps = [counts[each.first : each.last] for each in samples]
    return sum(map(sum, steps)) / sum(map(len, steps))


def _gpu_index(device: jax.Device) -> int | None:
    if device.platform != "gpu":
        return None
    number = device.local_hardware_id or 0
    return sensors.system_index(number, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _algorithmic(made: Made) -> int:
    rows, columns, _ = made.image.shape
    how = made.how
    return flops.algorithmic(
        (rows, columns),
        how.content_layers,
        how.style_layers,
        how.forward.network,
        how.forward.pool_rounding,
    )


def _executed(ready: Compiled, algorithmic: int) -> dict[str, Any]:
    """Operations that one evaluation executes, and who counted them."""
    made = ready.made

    def total(image: Image, problem: objective.Problem) -> Any:
        return objective.terms(made.how, problem, image).total

    traced = jax.make_jaxpr(jax.value_and_grad(total))(made.image, made.in_chunk)
    # A line search evaluates in loops within the step's.
    searches = pace.searched(made.solver.init(made.image)) is not None
    count, source = flops.executed(
        None if searches else ready.program,
        flops.in_products(traced.jaxpr),
        algorithmic,
        made.how.forward.precision,
    )
    return {"flops_executed": count, "flops_executed_by": source}


def _whole(ready: Compiled) -> dict[str, Any]:
    """The job from start to end, and the loss that it ends with."""
    state, rows = pace.whole(ready.loop, _PARTS)
    made = ready.made
    terms = jax.device_get(made.solver.terms(made.problem, state.image))
    return {"loss": float(terms.total), "curve": rows, "whole_s": rows[-1][1]}


def _profile(loop: pace.Loop, folder: str) -> None:
    """A trace of a few steps by JAX's profiler, for TensorBoard or Perfetto."""
    state = jax.block_until_ready(loop.start())
    with jax.profiler.trace(folder):
        for _ in range(3):
            state, _ = pace.advance(loop, state, 1)


def facts(made: Made, device: jax.Device) -> dict[str, Any]:
    """What every result carries, to be comparable."""
    rows, columns, _ = made.image.shape
    return {
        "device": devices.describe(device),
        "device_kind": device.device_kind,
        "platform": device.platform,
        "platform_version": getattr(device.client, "platform_version", ""),
        "precision": made.how.forward.precision,
        "products": made.how.forward.products,
        "shape": [rows, columns],
        "style_shapes": made.styles,
        "optimizer": made.config.optimizer.optimizer,
        "weights": made.weights.name,
        "weights_sha256": made.weights.digest,
        "machine": machine.facts(),
    }
