"""The commands of `show`: each reads pictures, looks, and leaves a figure or a table.

JAX is loaded by `probes`, after everything that can be checked.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst_jax import flags, images, inputs, layers, progress, start
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.show import asked, figures, summary, tables

if TYPE_CHECKING:
    from nst_jax import transfer
    from nst_jax.arrays import Weights
    from nst_jax.show import probes


class _Wanted(NamedTuple):
    """A row of reconstructions to be made."""

    role: str  # "style" or "content"
    path: str
    image: asked.Pixels
    entries: tuple[str, ...]  # layers, with their weights


_HEADINGS = {
    "style": "Style: textures with the statistics of more and more layers",
    "content": "Content: pictures that a single layer takes for the photo",
}


def network(request: flags.Request) -> int:
    """Prints the network as a table."""
    config, own = request.config, asked.own(request)
    names, name = asked.layer_names(request), config.network.network
    files = asked.writable(request, [own.csv] if own.csv else [])
    if own.image:
        shape = asked.picture(request, own.image, names or ("pool5",)).shape
    else:
        shape = asked.square(config.inputs.size, names or ("pool5",), name)
    rows = summary.rows(name, shape[:2], names, config.network.pool_rounding)
    progress.say(f"{name} at {asked.px(shape)} px\n\n{summary.text(rows)}")
    table = tables.in_csv([row._asdict() for row in rows])
    asked.write(request, ((path, table) for path in files))
    return 0


def features(request: flags.Request) -> int:
    """Draws every map of the layers, one figure for each layer."""
    own = asked.own(request)
    names = asked.layer_names(request) or ("relu1_1",)
    files = asked.figure_files(request, names)
    image = asked.picture(request, own.image, names)
    start.prepare_jax(request.config.output.device)
    from nst_jax.show import probes

    with probes.network(request.config) as (config, weights):
        found = probes.features(image, names, weights, config)
    picture = f"{Path(own.image).name} at {asked.px(image.shape)} px"

    def drawn(name: str) -> bytes:
        maps = np.moveaxis(found[name], 2, 0)
        size = asked.px(maps[0].shape)
        return figures.png(
            f"{name} of {_origin(weights)}: {len(maps)} maps of {size}",
            f"{picture}; each map from its least value, dark, to its 99th percentile",
            figures.sheet([figures.colored(each) for each in maps], own.columns),
        )

    asked.write(request, zip(files, map(drawn, names), strict=True))
    return 0


def filters(request: flags.Request) -> int:
    """Draws the first layer's kernels."""
    files = asked.figure_files(request)
    start.prepare_jax(request.config.output.device)
    from nst_jax.show import probes

    with probes.network(request.config) as (_, weights):
        tiles = probes.filters(weights)
    data = figures.png(
        f"conv1_1 of {_origin(weights)}: {len(tiles)} filters of 3x3 in RGB",
        "all in one range; grey is a weight of 0",
        figures.sheet(tiles, asked.own(request).columns),
    )
    asked.write(request, [(files[0], data)])
    return 0


def reconstruct(request: flags.Request) -> int:
    """Draws what layers keep of the content and of the style."""
    for name in ("strength", "balance"):
        if name in request.given:
            raise RequestError(
                f"--{name} is not for reconstruct, which balances layers by itself: "
                "leave it out"
            )
    files = asked.figure_files(request)
    wanted = _wanted(request)
    start.prepare_jax(request.config.output.device)
    from nst_jax.show import probes

    rows, wild = [], []
    with probes.network(request.config) as (config, weights):
        for row in wanted:
            panels = [figures.Panel(row.image, Path(row.path).name)]
            for label, result in _reconstructions(row, weights, config):
                panels.append(figures.Panel(result.image, label))
                if not result.is_finite:
                    wild.append(f"{row.role} {label} after step {result.steps}")
            rows.append(figures.Row(_HEADINGS[row.role], panels))
    data = figures.png(
        f"What {_origin(weights)} keeps of a picture",
        f"from noise by {config.solve.steps} steps of {config.optimizer.optimizer}, "
        f"{config.network.pooling} pooling",
        rows,
    )
    asked.write(request, [(files[0], data)])
    if wild:
        progress.warn(f"the loss stopped being finite: {', '.join(wild)}")
    return 1 if wild else 0


def losses(request: flags.Request) -> int:
    """Prints every term of a picture."""
    own = asked.own(request)
    files = asked.writable(request, [own.csv] if own.csv else [])
    limit = request.config.inputs.max_pixels
    image = images.on_white(images.read(own.image, max_pixels=limit))
    config = _as_large_as(image.shape, request)
    pictures = inputs.read(config)
    size, wanted = asked.px(image.shape), asked.px(pictures.content.shape)
    if size != wanted:
        raise RequestError(
            f"--image must be as large as the content is worked on, {wanted} px, got "
            f"{size}; give it as it was made, with the --size and --size_rounding that "
            "it was made with"
        )
    start.prepare_jax(config.output.device)
    from nst_jax import metrics
    from nst_jax.show import probes

    with probes.network(config) as (config, weights):
        terms = probes.terms(image, pictures.final, weights, config)
        factors = probes.factors(pictures.final, weights, config)
    named = probes.named(terms, factors)
    title = f"{Path(own.image).name} at {size} px, {_origin(weights)}"
    progress.say(f"{title}, {config.network.precision}\n\n{_table(named)}")
    table = tables.in_csv([metrics.row(0, 0, terms)])
    asked.write(request, ((path, table) for path in files))
    return 0


# What the commands are made of


def _wanted(request: flags.Request) -> list[_Wanted]:
    """The rows of reconstructions that were asked for."""
    given, goal = request.config.inputs, request.config.objective
    if not (given.content or given.style) or len(given.style) > 1:
        raise RequestError(
            "reconstruct needs --content=PHOTO, --style=PAINTING or both, one picture "
            f"each, got {'no picture' if not given.style else 'several styles'}"
        )
    rows = []
    for role, path, entries in (
        ("style", "".join(given.style), goal.style_layers),
        ("content", given.content, goal.content_layers),
    ):
        names = tuple(layers.weighted(entries, request.config.network.network))
        if path:
            rows.append(
                _Wanted(role, path, asked.picture(request, path, names), entries)
            )
    return rows


def _reconstructions(
    row: _Wanted, weights: "Weights", config: Config
) -> "Iterator[tuple[str, transfer.Result]]":
    """Each picture with its label, told of as it is finished."""
    from nst_jax.show import probes

    names = tuple(layers.weighted(row.entries, config.network.network))
    for index, name in enumerate(names):
        since = time.monotonic()
        if row.role == "content":
            label = name
            result = probes.content_of(row.image, name, weights, config)
        else:
            label = f"+ {name}" if index else name
            entries = row.entries[: index + 1]
            result = probes.style_of(row.image, entries, weights, config)
        if not config.output.quiet:
            seconds = time.monotonic() - since
            progress.say(f"{row.role} {label}: {seconds:.1f} s")
        yield label, result


def _as_large_as(shape: asked.Shape, request: flags.Request) -> Config:
    """The settings with the size of a picture, unless a size was asked for."""
    config = request.config
    settings = dataclasses.replace(config.inputs, init="content")
    if "size" not in request.given:
        settings = dataclasses.replace(
            settings, size=max(shape[:2]), size_rule="long", enlarge="all"
        )
    return dataclasses.replace(config, inputs=settings)


def _table(terms: "Sequence[probes.Term]") -> str:
    total = terms[-1].value
    rows = [
        (
            term.name,
            f"{term.value:.6g}",
            f"{term.value / total:.1%}" if total else "",
            f"{term.weight:.6g}",
            f"{term.value / term.weight:.6g}" if term.weight else "",
        )
        for term in terms[:-1]
    ]
    heads = ("term", "weighted", "share", "weight", "loss")
    return tables.text(heads, rows, f"total {total:.6g}")


def _origin(weights: "Weights") -> str:
    return f"{weights.network} ({weights.name})"
