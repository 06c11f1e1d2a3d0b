"""`show compare`: results beside their photo and their painting, as a table.

JAX is loaded by `quality`, after everything that can be checked.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nst_jax import flags, images, layers, progress, start
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.show import asked, tables

if TYPE_CHECKING:
    from nst_jax import lpips, quality

# Which of its layers decide how small a picture may be.
_LPIPS_DEEPEST = "relu5_3"
_HEADS = ("picture", "size", "SSIM", "PSNR", "LPIPS", "content", "style")


class _Read(NamedTuple):
    """The pictures as they are compared, all of the first one's size."""

    reference: str  # its path
    pictures: Mapping[str, asked.Pixels]
    sizes: Mapping[str, str]  # as the files have them
    style: asked.Pixels | None


def compare(request: flags.Request) -> int:
    """Prints how near each picture is to the first, or to the content."""
    own = asked.own(request)
    files = asked.writable(request, [own.csv] if own.csv else [])
    style, network = request.config.inputs.style, request.config.network.network
    if len(style) > 1:
        raise RequestError(f"compare takes one --style, got {len(style)}; give one")
    goal = request.config.objective
    content_layers = tuple(layers.weighted(goal.content_layers, network))
    style_layers = tuple(layers.weighted(goal.style_layers, network))
    found = _read(request, (*content_layers, *style_layers, _LPIPS_DEEPEST))
    start.prepare_jax(request.config.output.device)
    from nst_jax import prepare, quality
    from nst_jax.show import probes

    quality.check()
    with probes.network(request.config) as (config, weights):
        params, preprocessing = prepare.constants(weights, config.network)
        weights = weights._replace(params=params, preprocessing=preprocessing)
        look = quality.Look(
            weights, prepare.forward(config), content_layers, style_layers
        )
        rows = quality.compare(
            found.pictures[found.reference],
            found.pictures,
            look,
            style=found.style,
            perceptual=_perceptual(config),
        )
    progress.say(_text(found, rows, style))
    for path in files:
        asked.write(request, path, tables.in_csv(_records(found, rows)))
    return 0


def _read(request: flags.Request, names: tuple[str, ...]) -> _Read:
    """Everything that is looked at; what was resized for it is told."""
    settings, own = request.config.inputs, asked.own(request)
    paths = [*([settings.content] if settings.content else []), *own.pictures]
    if len(paths) < 2:
        raise RequestError(
            f"compare needs two pictures or more, got {paths[0]!r} alone; the first, "
            "or --content, is what the others are compared with"
        )
    if len({*paths}) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise RequestError(f"compare was given {twice!r} twice; name each picture once")
    whole = {path: _whole(path, settings.max_pixels) for path in paths}
    request = _as_large_as(whole[paths[0]], request)
    first = asked.picture(request, paths[0], names)
    pictures = {path: _alike(whole[path], first, request.config) for path in paths}
    sizes = {path: asked.px(pixels.shape) for path, pixels in whole.items()}
    for path, size in sizes.items():
        if size != sizes[paths[0]]:
            progress.warn(
                f"{path!r} is {size} px, unlike {paths[0]!r} with {sizes[paths[0]]}; "
                f"it is compared at {asked.px(first.shape)}"
            )
    style = settings.style[0] if settings.style else ""
    painting = asked.picture(request, style, names) if style else None
    return _Read(paths[0], {**pictures, paths[0]: first}, sizes, painting)


def _whole(path: str, max_pixels: int) -> asked.Pixels:
    return images.on_white(images.read(path, max_pixels=max_pixels))


def _alike(pixels: asked.Pixels, first: asked.Pixels, config: Config) -> asked.Pixels:
    """The picture at the size of the first."""
    settings = config.inputs
    return images.resize(
        pixels,
        (first.shape[0], first.shape[1]),
        filter=settings.filter,
        antialias=settings.antialias,
        depth=settings.resize_depth,
    )


def _as_large_as(reference: asked.Pixels, request: flags.Request) -> flags.Request:
    """The request with the size of the reference, unless a size was asked for."""
    if request.config.inputs.size:
        return request
    inputs = dataclasses.replace(
        request.config.inputs,
        size=max(reference.shape[:2]),
        size_rule="long",
        enlarge="all",
    )
    return request._replace(config=dataclasses.replace(request.config, inputs=inputs))


def _perceptual(config: Config) -> "lpips.Perceptual | None":
    """The numbers of LPIPS, or a word on why its column is empty."""
    from nst_jax import pretrained

    try:
        return pretrained.load_lpips(
            source=config.network.weights_source,
            offline=config.network.offline,
            announce=progress.warn,
            quiet=config.output.quiet,
        )
    except RequestError as error:
        progress.warn(f"without LPIPS: {error}")
        return None


def _text(found: _Read, rows: "Mapping[str, quality.Row]", style: Sequence[str]) -> str:
    """The table with a line on what it is of."""
    size = asked.px(found.pictures[found.reference].shape)
    beside = f", and style to {Path(style[0]).name}" if style else ""
    cells = [
        (
            Path(path).name,
            found.sizes[path],
            *(_cell(value, form) for value, form in zip(row, _FORMS, strict=True)),
        )
        for path, row in rows.items()
    ]
    title = f"compared with {Path(found.reference).name} at {size} px{beside}"
    return f"{title}\n\n{tables.text(_HEADS, cells)}"


_FORMS = (".4f", ".2f", ".4f", ".4g", ".4g")


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _records(
    found: _Read, rows: "Mapping[str, quality.Row]"
) -> list[dict[str, object]]:
    """The rows of the CSV file; empty what could not be measured."""
    return [
        {"picture": path, "size": found.sizes[path], **row._asdict()}
        for path, row in rows.items()
    ]
