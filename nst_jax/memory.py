"""How much of the device's memory a job takes, from the compiled program itself."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import layers, objective, targets, transfer
from nst_jax.arrays import Preprocessing
from nst_jax.config import Config

Shape = tuple[int, int]


def estimate(content: Shape, styles: Sequence[Shape], config: Config) -> int | None:
    """Bytes at the peak of a job: network, targets, image, optimiser, features.

    Nothing is computed, but the step is compiled, and so are the targets of the
    largest style, whose features may be the larger need. None where the device's
    compiler does not tell.
    """
    how = objective.recipe(config.objective, transfer.forward(config.network))
    solver = transfer.solver(how, config.optimizer)
    state = jax.eval_shape(solver.init, _array(*content, 3))
    last = jax.ShapeDtypeStruct((), jnp.int32)
    steps = solver.chunk.lower(_problem(how, content, config), state, last)
    largest = max(styles, key=lambda shape: shape[0] * shape[1])
    before = jax.jit(_style(how)).lower(*_network(config), _array(*largest, 3))
    peaks = [_peak(lowered.compile()) for lowered in (before, steps)]
    return max(peaks) if all(peaks) else None


def _peak(compiled: jax.stages.Compiled) -> int:
    sizes = compiled.memory_analysis()
    if sizes is None:
        return 0
    return int(
        sizes.argument_size_in_bytes
        + sizes.output_size_in_bytes
        + sizes.temp_size_in_bytes
        - sizes.alias_size_in_bytes
    )


def _problem(how: objective.Recipe, content: Shape, config: Config) -> Any:
    """The problem of a job as shapes, without its numbers."""
    network, picture = _network(config), _array(*content, 3)
    factors = objective.weights(config.objective, config.network.network)
    return objective.Problem(
        *network,
        targets.Targets(
            jax.eval_shape(_content(how), *network, picture),
            jax.eval_shape(_style(how), *network, picture),
        ),
        jax.tree.map(lambda _: _array(), factors),
    )


def _content(how: objective.Recipe) -> Callable[..., dict[str, jax.Array]]:
    names, forward = how.content_layers, how.forward
    return functools.partial(targets.content_targets, names=names, forward=forward)


def _style(how: objective.Recipe) -> Callable[..., dict[str, jax.Array]]:
    return functools.partial(
        targets.style_targets,
        names=how.style_layers,
        forward=how.forward,
        division=how.gram_division,
    )


def _network(config: Config) -> tuple[Any, Any]:
    preprocessing = Preprocessing(_array(), _array(3), _array(3))
    return _params(config.network.network), preprocessing


def _params(network: layers.Network) -> Any:
    return {
        row.name: {
            "kernel": _array(3, 3, row.inputs, row.channels),
            "bias": _array(row.channels),
        }
        for row in layers.table(network)
        if row.kind == "conv"
    }


def _array(*shape: int) -> Any:
    """A shape that stands for an array."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)
