"""What a command of `show` was asked for: layers, pictures, files to be written.

Knows no JAX: all of it is checked before JAX is loaded.
"""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float32

from nst_jax import disk, flagfile, flags, images, layers, progress, report
from nst_jax.config import InputConfig
from nst_jax.errors import RequestError
from nst_jax.images import clusters
from nst_jax.settings import check, setting

Shape = tuple[int, ...]
Pixels = Float32[np.ndarray, "_ _ 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowConfig:
    """What is shown."""

    image: str = setting("", "The picture that is looked at.", file="read")
    pictures: tuple[str, ...] = setting(
        (), "The pictures that are compared; they may stand alone, first.", file="read"
    )
    layers: tuple[str, ...] = setting(
        (), "Layers, such as relu1_1,conv3_1; Keras' names do as well."
    )
    columns: int = setting(
        0, "Tiles side by side; 0 makes the sheet as square as it can be.", low=0
    )
    regions: int = setting(
        3, "Regions to look for in both pictures.", low=2, high=clusters.MOST
    )
    csv: str = setting("", "The table as a CSV file.", file="written")

    def __post_init__(self) -> None:
        check(self)


class Unfinished(Exception):
    """A fault after files were written."""

    def __init__(self, fault: Exception, written: Sequence[Path]) -> None:
        super().__init__(str(fault))
        self.fault, self.written = fault, written


def own(request: flags.Request) -> ShowConfig:
    """The settings that a run has not."""
    return cast(ShowConfig, request.own)


def layer_names(request: flags.Request) -> tuple[str, ...]:
    """The layers asked for, each once, by the project's names."""
    network = request.config.network.network
    names = [layers.canonical_name(name, network) for name in own(request).layers]
    return tuple(dict.fromkeys(names))


def square(side: int, names: tuple[str, ...], network: layers.Network) -> Shape:
    """A square picture's shape, if the layers allow it."""
    least = layers.least_side(names, network)
    if side < least:
        raise RequestError(
            f"{_deepest(names, network)} needs pictures of at least {least}x{least} "
            f"px, got --size={side}; the smallest --size for it is {least}"
        )
    return side, side


def picture(request: flags.Request, path: str, names: tuple[str, ...]) -> Pixels:
    """The picture in a file at the size it is worked on, if the layers allow that."""
    settings, network = request.config.inputs, request.config.network.network
    found = images.read(path, max_pixels=settings.max_pixels)
    pixels, least = images.on_white(found), layers.least_side(names, network)
    shape = _worked_on(pixels.shape, settings, settings.size)
    if min(shape) < least:
        larger = (
            f"the smallest --size for it is {size}"
            for size in range(1, least * max(pixels.shape) + 1)
            if min(_worked_on(pixels.shape, settings, size)) >= least
        )
        raise RequestError(
            f"{_deepest(names, network)} needs pictures of at least {least}x{least} "
            f"px, and {path!r} would be worked on at {px(shape)}; "
            f"{next(larger, 'give a larger picture')}"
        )
    return images.resize(
        pixels,
        shape,
        filter=settings.filter,
        antialias=settings.antialias,
        depth=settings.resize_depth,
    )


def _worked_on(shape: Shape, settings: InputConfig, size: int) -> tuple[int, int]:
    return images.working_size(
        (shape[0], shape[1]),
        size,
        settings.size_rule,
        0,
        rounding=settings.size_rounding,
        enlarge=settings.enlarge != "none",
    )


def _deepest(names: tuple[str, ...], network: layers.Network) -> str:
    return layers.up_to(names, network)[-1].name


def px(shape: Shape) -> str:
    """Columns and rows, as people say it."""
    return f"{shape[1]}x{shape[0]}"


def figure_files(request: flags.Request, names: Sequence[str] = ("",)) -> list[Path]:
    """The figures to be written, if they can be: one for each layer."""
    whole = Path(request.config.output.output)
    if whole.suffix.lower() != ".png":
        raise RequestError(f"--output must end in .png, got {str(whole)!r}")
    report.check()
    if len(names) == 1:
        return writable(request, [str(whole)])
    paths = [whole.with_name(f"{whole.stem}_{name}{whole.suffix}") for name in names]
    return writable(request, [*map(str, paths)])


def writable(request: flags.Request, paths: Sequence[str]) -> list[Path]:
    """The paths, if files can be written there without harming one that is read."""
    for path in paths:
        disk.check(Path(path), overwrite=request.config.output.overwrite)
        for source in _sources(request):
            if os.path.exists(path) and os.path.samefile(path, source):
                raise RequestError(
                    f"{path!r} would be written over a file that is read; choose "
                    "another name"
                )
    return [*map(Path, paths)]


def _sources(request: flags.Request) -> list[str]:
    """Every file that is read and is there."""
    mine = own(request)
    read = [mine.image, *mine.pictures, *request.sources]
    for field, value in flagfile.settings(request.config):
        if field.metadata["file"] == "read":
            read += value if isinstance(value, tuple) else (value,)
    return [path for path in read if path and os.path.exists(path)]


def write(request: flags.Request, files: Iterable[tuple[Path, bytes]]) -> None:
    """Puts each file there, as soon as it is made, and says so.

    Raises:
        Unfinished: it broke after some of them were written.
    """
    done: list[Path] = []
    try:
        for path, data in files:
            disk.write(path, data, overwrite=request.config.output.overwrite)
            done.append(path)
            if not request.config.output.quiet:
                progress.say(str(path))
    except Exception as error:
        if not done or isinstance(error, RequestError):
            raise
        raise Unfinished(error, done) from error
