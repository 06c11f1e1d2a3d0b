"""How much of the device's memory a job takes, from the compiled program itself."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import layers, objective, prepare, targets, transfer
from nst_jax.arrays import Preprocessing, Style
from nst_jax.config import Config

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # it does not tell

Shape = tuple[int, int]


def estimate(content: Shape, styles: Sequence[Shape], config: Config) -> int | None:
    """Bytes at the peak of a job: network, targets, image, optimiser, features.

    Nothing is computed, but the step is compiled, and so are the statistics of the
    largest style, whose features may be the larger need. None where the device's
    compiler does not tell. Masks, a small part, are left out.
    """
    how = objective.recipe(config.objective, prepare.forward(config))
    settings = config.solve
    solver = transfer.solver(
        how, config.optimizer, settings.keep, settings.average_decay
    )
    state = jax.eval_shape(solver.init, _array(*content, 3))
    last = jax.ShapeDtypeStruct((), jnp.int32)
    problem = _problem(how, content, config)
    steps = solver.chunk.lower(problem, state, last)
    largest = max(styles, key=lambda shape: shape[0] * shape[1])
    before = jax.jit(_style(how)).lower(*_network(config), _array(*largest, 3))
    peaks = [_peak(lowered.compile()) for lowered in (before, steps)]
    # Beside what the loop takes, the kernels of which it takes another form.
    whole, _ = _network(config)
    changed = [name for name, each in problem.params.items() if "spread" in each]
    beside = _bytes([whole[name] for name in changed])
    return max(peaks[0], peaks[1] + beside) if all(peaks) else None


def peaks(device: jax.Device) -> dict[str, int]:
    """The most bytes that were in use so far, of the host and of the device."""
    found = {}
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        found["host"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    statistics = device.memory_stats() if device.platform != "cpu" else None
    if statistics and "peak_bytes_in_use" in statistics:
        found["device"] = statistics["peak_bytes_in_use"]
    return found


def _bytes(arrays: Any) -> int:
    return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(arrays))


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
    problem = objective.Problem(
        *network,
        targets.Targets(
            jax.eval_shape(_content(how), *network, picture),
            jax.eval_shape(_targets(how), *network, picture),
        ),
        jax.tree.map(lambda _: _array(), factors),
        objective.Maps({}, dict.fromkeys(how.style_layers, _array(1)), {}, None),
    )
    ready = functools.partial(prepare.ready, how=how, pixels=content[0] * content[1])
    return jax.eval_shape(ready, problem)


def _content(how: objective.Recipe) -> Callable[..., dict[str, jax.Array]]:
    def content(params: Any, preprocessing: Any, image: Any) -> dict[str, jax.Array]:
        found = targets.content_targets(
            params, preprocessing, image, how.content_layers, how.forward
        )
        return found | objective.edges(how, image)

    return content


def _style(how: objective.Recipe) -> Callable[..., dict[str, Style]]:
    return functools.partial(
        targets.style_statistics,
        regions={},
        names=how.style_layers,
        forward=how.forward,
        division=how.gram_division,
        statistics=how.statistics,
    )


def _targets(how: objective.Recipe) -> Callable[..., dict[str, Style]]:
    def style(*arguments: Any) -> dict[str, Style]:
        found = _style(how)(*arguments)
        return targets.style_targets(
            [found],
            dict.fromkeys(how.style_layers, jnp.ones((1, 1))),
            how.statistics,
            how.root_steps,
        )

    return style


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
