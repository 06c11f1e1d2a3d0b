"""A job as plain arrays, for another program to do; and what its terms should be."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nst_jax import devices, disk, inputs, job, layers, prepare
from nst_jax.arrays import Image, LossTerms
from nst_jax.benchmark import phases
from nst_jax.config import Config
from nst_jax.errors import RequestError

# Settings that are in the arrays or the description, or that change nothing here.
_DONE = {
    *("network", "weights", "weights_source", "offline", "input_scale", "convolution"),
    *("pooling", "padding", "precision", "color", "color_when"),
    *("content_weight", "content_layers", "style_weight", "style_layers"),
    *("gram_division", "tv_weight", "tv_range"),
    *("learning_rate", "beta1", "beta2", "epsilon", "box", "history", "first_step"),
    *("steps", "log_every", "scales", "scale_steps", "scale_filter"),
}
# Settings that do nothing in a job that `check` finds no fault with.
_IDLE = {
    *("laplacian_pool", "root_steps", "style_weights", "strength", "protect_weight"),
    *("schedule_rate", "schedule_steps", "decay", "momentum", "accumulator"),
    *("linesearch_steps", "average_decay"),
}


def write(config: Config, path: Path) -> dict[str, Any]:
    """Writes the arrays of a job; the rest of it, and its terms in float32, for JSON.

    Raises:
        RequestError: the job has something that the other program does not know.
    """
    check(config)
    device = devices.pick(config.output.device)
    with jax.default_device(device):
        made = phases.make(config, {})
        if made.how.forward.precision != "float32":
            raise ValueError("terms are compared in float32")
        images = {"initial": made.image, "probe": _probe(made.image)}
        terms = {
            name: jax.device_get(made.solver.terms(made.problem, image))
            for name, image in images.items()
        }
        pictures = prepare.coloured(inputs.read(config).final, config.control)
    arrays: dict[str, Any] = {
        f"{name}/{part}": np.asarray(value)
        for name, layer in made.weights.params.items()
        for part, value in layer.items()
    }
    arrays |= {
        f"preprocessing/{name}": np.asarray(value)
        for name, value in made.problem.preprocessing._asdict().items()
    }
    arrays |= {
        "content": pictures.content,
        "style": pictures.styles[0],
        **{name: np.asarray(image) for name, image in images.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    disk.write(path, buffer.getvalue())
    return {
        "terms": {name: _numbers(each) for name, each in terms.items()},
        "job": description(job.resolve(config, device)),
    }


def _probe(image: Image) -> Image:
    """An image at which no term is zero, as the content's is at the content itself."""
    noise = jax.random.uniform(jax.random.key(0), image.shape)
    return 0.9 * image + 0.1 * noise


def _numbers(terms: LossTerms) -> dict[str, Any]:
    return {
        "content": {name: float(value) for name, value in terms.content.items()},
        "style": {name: float(value) for name, value in terms.style.items()},
        "tv": float(terms.tv),
    }


def description(config: Config) -> dict[str, Any]:
    """The settings of a job, in numbers and words that need no program to read."""
    network, goal, moves = config.network, config.objective, config.optimizer
    weighted = {
        name: layers.weighted(entries, network.network)
        for name, entries in (
            ("content", goal.content_layers),
            ("style", goal.style_layers),
        )
    }
    return {
        "network": [
            [row.name, row.kind]
            for row in layers.up_to(config.used_layers(), network.network)
        ],
        "pooling": network.pooling,
        "padding": network.padding,
        "content": {
            name: goal.content_weight * w for name, w in weighted["content"].items()
        },
        "style": {name: goal.style_weight * w for name, w in weighted["style"].items()},
        "gram_division": goal.gram_division,
        "tv_weight": goal.tv_weight,
        "tv_range": goal.tv_range,
        "optimizer": moves.optimizer,
        "learning_rate": moves.learning_rate,
        "history": moves.history,
        "first_step": moves.first_step,
        "betas": [moves.beta1, moves.beta2],
        "epsilon": moves.epsilon,
        "is_clipped": moves.box == "step",
        "steps": config.solve.steps,
    }


def check(config: Config) -> None:
    """Raises unless the other program does all that the job asks for."""
    goal, moves, control = config.objective, config.optimizer, config.control
    known = {
        "optimizer": moves.optimizer in ("adam", "lbfgs"),
        "line_search": moves.optimizer == "adam" or moves.line_search == "none",
        "schedule": moves.schedule == "constant",
        "nesterov": not moves.nesterov,
        "epsilon_place": moves.epsilon_place in ("auto", "root"),
        "pool_rounding": config.network.pool_rounding == "floor",
        "pool_scale": config.network.pool_scale == 1,
        "transpose_kernels": not config.network.transpose_kernels,
        "content_loss": goal.content_loss == "mean",
        "laplacian_weight": not goal.laplacian_weight,
        "style_loss": goal.style_loss in (("gram",), ("gram:1",)),
        "style_reduction": goal.style_reduction == "mean",
        "style": len(config.inputs.style) == 1,
        "balance": goal.balanced_strength() is None,
        "tv_loss": not goal.tv_weight or goal.tv_loss == "mean_squared",
        "content_mask": not control.content_mask,
        "protect": not control.protect,
        "fill": not control.fill,
        "wrap": control.wrap == "none",
        "keep": config.solve.keep == "last",
    }
    foreign = [name for name, is_known in known.items() if not is_known]
    foreign += [name for name in _changed(config) if name not in known]
    if foreign:
        raise RequestError(
            f"the peer does Adam, or L-BFGS without a line search, with Gram matrices "
            f"only; {', '.join(foreign)} of this job has no counterpart there"
        )


def _changed(config: Config) -> list[str]:
    """Settings that the other program has not heard of, unless at their default.

    So one that comes later is refused until it is known here.
    """
    return [
        field.name
        for part in (
            *(config.network, config.objective, config.optimizer),
            *(config.control, config.solve),
        )
        for field in dataclasses.fields(part)
        if field.name not in _DONE | _IDLE
        and getattr(part, field.name) != field.default
    ]
