"""`show masks`: regions that a photo and paintings have in common, as label images.

JAX is loaded by `probes`, after everything that can be checked.
"""

import contextlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_jax import flagfile, flags, images, progress, regions, report, start
from nst_jax.errors import RequestError
from nst_jax.show import asked, figures

# Deep enough to see what things are, fine enough for where they end.
_LAYERS = ("relu4_1", "relu5_1")
_SIDE = 240  # pixels of a panel
_FADED = np.float32(0.12)  # of a picture, where a region is not


class _Seen(NamedTuple):
    """A picture as the network sees it, and its own size."""

    path: str
    image: asked.Pixels
    shape: tuple[int, int]


class _Cut(NamedTuple):
    """A picture of a panel's size, and the label image that goes with it."""

    name: str
    image: asked.Pixels
    labels: asked.Pixels


def masks(request: flags.Request) -> int:
    """Writes label images for content and styles, and a figure of them."""
    settings = request.config.inputs
    *files, figure = _files(request)
    report.check()
    seen = [_seen(request, path) for path in (settings.content, *settings.style)]
    start.prepare_jax(request.config.output.device)
    from nst_jax.show import probes

    with probes.network(request.config) as (config, weights):
        maps = [probes.features(each.image, _LAYERS, weights, config) for each in seen]
    content, style, *further = ([each[name] for name in _LAYERS] for each in maps)
    count = asked.own(request).regions
    found = regions.common(content, style, count, seed=settings.seed, further=further)
    _check(seen, found)
    label_images = (
        (path, images.encoded(path, regions.label_image(labels, each.shape)))
        for path, each, labels in zip(files, seen, found, strict=True)
    )
    asked.write(request, [*label_images, (figure, _drawn(seen, found))])
    shared = int(found[0].max()) + 1
    if shared < count:
        progress.warn(f"{count} regions were asked for, and {shared} were found")
    if not request.config.output.quiet:
        progress.say(_command(request, files))
    return 0


def _files(request: flags.Request) -> list[Path]:
    """The label images, the content's first, and the figure, if they can be written."""
    text, count = request.config.output.output, len(request.config.inputs.style)
    whole = Path(text)
    if whole.suffix.lower() == ".png":
        raise RequestError(
            "--output must be a folder or what the files' names begin with, such as "
            f"masks/town, got {text!r}"
        )
    styles = [f"style_mask_{number}" for number in range(1, count + 1)]
    names = ["content_mask", *(styles if count > 1 else ["style_mask"]), "regions"]
    if whole.is_dir() or text.endswith(("/", os.sep)):
        # Whoever names a folder wants it; `disk.check` says what is wrong if not made.
        with contextlib.suppress(OSError):
            whole.mkdir(exist_ok=True)
        paths = [whole / f"{name}.png" for name in names]
    else:
        paths = [whole.with_name(f"{whole.name}_{name}.png") for name in names]
    return asked.writable(request, [*map(str, paths)])


def _seen(request: flags.Request, path: str) -> _Seen:
    limit = request.config.inputs.max_pixels
    rows, columns, _ = images.read(path, max_pixels=limit).pixels.shape
    return _Seen(path, asked.picture(request, path, _LAYERS), (rows, columns))


def _check(seen: Sequence[_Seen], found: Sequence[regions.Labels]) -> None:
    """Refuses a mask with a single region, which no run would read."""
    for each, labels in zip(seen, found, strict=True):
        if len(np.unique(labels)) == 1:
            raise RequestError(
                f"{each.path!r} must have two regions in common with the others, and "
                "one was found; leave it out, or ask for another number of --regions"
            )


def _drawn(seen: Sequence[_Seen], found: Sequence[regions.Labels]) -> bytes:
    """The figure: each picture with its regions, then each region by itself."""
    cuts = []
    for each, labels in zip(seen, found, strict=True):
        shape = images.working_size(each.shape, _SIDE, "long", 1)
        image = images.resize(each.image, shape, filter="area")
        label_image = regions.label_image(labels, shape)
        cuts.append(_Cut(Path(each.path).name, image, label_image))
    count = int(found[0].max()) + 1
    return figures.png(
        f"{count} regions that the pictures have in common",
        "paint the label images anew where they are wrong: in any colours, as long as "
        "one region has one colour in all of them",
        [figures.Row("", _panels(cut, count)) for cut in cuts],
    )


def _panels(cut: _Cut, count: int) -> list[figures.Panel]:
    panels = [
        figures.Panel(cut.image, cut.name),
        figures.Panel((cut.image + cut.labels) / 2, "regions"),
    ]
    for color in regions.COLOURS[:count]:
        inside = (np.rint(cut.labels * 255) == color).all(axis=-1)
        share = np.where(inside, np.float32(1), _FADED)[..., None]
        label = "#{:02x}{:02x}{:02x}: ".format(*color) + f"{inside.mean():.0%}"
        panels.append(figures.Panel(1 - share * (1 - cut.image), label))
    return panels


def _command(request: flags.Request, files: Sequence[Path]) -> str:
    """The run that uses the masks, as it is typed."""
    settings = request.config.inputs
    content, *styles = (str(path) for path in files)
    values = {
        "content": settings.content,
        "style": flagfile.to_text(settings.style),
        "content_mask": content,
        "style_mask": flagfile.to_text(tuple(styles)),
        "output": str(
            files[0].with_name(files[0].name.replace("content_mask", "result"))
        ),
    }
    rows = [shlex.quote(f"--{name}={value}") for name, value in values.items()]
    return " \\\n    ".join(["python -m nst_jax.run", *rows])
