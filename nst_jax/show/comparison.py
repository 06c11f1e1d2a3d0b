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
_BETTER = (
    "nearer: SSIM and PSNR (dB) higher; LPIPS and the distances of content and style "
    "lower"
)
_HEADS = ("picture", "size", "SSIM", "PSNR", "LPIPS", "content", "style")


class _Read(NamedTuple):
    """The pictures as they are compared, all of one size."""

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
    table = tables.in_csv(_records(found, rows))
    asked.write(request, ((path, table) for path in files))
    return 0


def _read(request: flags.Request, names: tuple[str, ...]) -> _Read:
    """Everything that is looked at; what is squeezed for it is told."""
    settings = request.config.inputs
    paths = _paths(settings.content, asked.own(request).pictures)
    if len(paths) < 2:
        raise RequestError(
            f"compare needs two pictures or more, got {paths[0]!r} alone; the first, "
            "or --content, is what the others are compared with"
        )
    whole = {path: _whole(path, settings.max_pixels) for path in paths}
    smallest = min((each.shape for each in whole.values()), key=max)
    asked_for, request = settings.size, _as_large_as(smallest, request)
    shape = asked.picture(request, paths[0], names).shape
    if not asked_for and _is_alike(smallest, shape):
        shape = smallest  # which is then as it was made, to the pixel
    for path, pixels in whole.items():
        if not _is_alike(pixels.shape, shape):
            progress.warn(
                f"{path!r} is {asked.px(pixels.shape)} px, of another shape than "
                f"{paths[0]!r}; it is squeezed to {asked.px(shape)}"
            )
    style = settings.style[0] if settings.style else ""
    return _Read(
        paths[0],
        {path: _resized(each, shape, request.config) for path, each in whole.items()},
        {path: asked.px(each.shape) for path, each in whole.items()},
        asked.picture(request, style, names) if style else None,
    )


def _paths(content: str, pictures: Sequence[str]) -> list[str]:
    """The reference, then the others; the content may be named among them too."""
    for path in pictures:
        if pictures.count(path) > 1:
            raise RequestError(
                f"compare was given {path!r} twice; name each picture once"
            )
    return [*dict.fromkeys([content, *pictures] if content else pictures)]


def _whole(path: str, max_pixels: int) -> asked.Pixels:
    return images.on_white(images.read(path, max_pixels=max_pixels))


def _is_alike(one: asked.Shape, other: asked.Shape) -> bool:
    """Whether shapes have one aspect, to a pixel of the smaller one."""
    side = min(max(one[:2]), max(other[:2]))
    pairs = zip(one[:2], other[:2], strict=True)
    return all(
        abs(mine * side / max(one[:2]) - its * side / max(other[:2])) <= 1
        for mine, its in pairs
    )


def _resized(pixels: asked.Pixels, shape: asked.Shape, config: Config) -> asked.Pixels:
    settings = config.inputs
    return images.resize(
        pixels,
        (shape[0], shape[1]),
        filter=settings.filter,
        antialias=settings.antialias,
        depth=settings.resize_depth,
    )


def _as_large_as(shape: asked.Shape, request: flags.Request) -> flags.Request:
    """The request with the long side of a shape, unless a size was asked for."""
    if request.config.inputs.size:
        return request
    inputs = dataclasses.replace(
        request.config.inputs,
        size=max(shape[:2]),
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
    """The table with a line on what it is of, and one on how to read it."""
    size = asked.px(found.pictures[found.reference].shape)
    beside = f", and style with {Path(style[0]).name}" if style else ""
    cells = [
        (
            Path(path).name,
            found.sizes[path],
            *(_cell(value, form) for value, form in zip(row, _FORMS, strict=True)),
        )
        for path, row in rows.items()
    ]
    title = f"compared with {Path(found.reference).name} at {size} px{beside}"
    return f"{title}\n\n{tables.text(_HEADS, cells, _BETTER)}"


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
