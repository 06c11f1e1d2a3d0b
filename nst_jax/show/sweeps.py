"""`show sweep`: a photo in variations, as a sheet of small pictures.

Each variation is a request of its own, read and checked as a run's is. JAX is loaded
by `probes`, after everything that can be checked.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float32

from nst_jax import flags, images, inputs, progress, start
from nst_jax.config import Config, InputConfig
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures
from nst_jax.show import asked, figures, variations

if TYPE_CHECKING:
    from nst_jax.arrays import Weights

Pixels = Float32[np.ndarray, "_ _ 3"]
Shape = tuple[int, int]

_MOST_PIXELS = 50_000_000  # of all pictures together
_WIDEST = 8  # pictures side by side, where one setting varies
_LETTER = 6  # pixels of the figure's small print


class _Look(NamedTuple):
    """What a variation looks at: the pictures at each scale, from coarse to fine."""

    at: Mapping[Shape, Pictures]

    @property
    def final(self) -> Pictures:
        return self.at[self.shape]

    @property
    def shape(self) -> Shape:
        """Of the result."""
        return [*self.at][-1]


class _Made(NamedTuple):
    """What came of a variation: a picture, or why there is none."""

    pixels: Pixels | None
    trouble: str = ""


def nothing_varied(request: flags.Request) -> NoReturn:
    """Refuses a request in which nothing varies."""
    del request
    raise RequestError(
        "sweep needs a setting with several values, such as "
        "--style_weight=10,30,100 or --style=A.jpg,B.jpg, got one value for each"
    )


# What is done


def sweep(axes: Sequence[variations.Axis], requests: Sequence[flags.Request]) -> int:
    """Draws all variations on one sheet."""
    for request in requests:
        (file,) = asked.figure_files(request)
    looks = _looks([request.config for request in requests])
    try:  # whether it can be drawn, before the work
        _sheet(axes, requests, looks, [_Made(None)] * len(looks), "")
    except RequestError as error:
        what = str(error).partition(";")[0]
        raise RequestError(
            f"{what}; ask for a smaller --size or fewer values"
        ) from None
    start.prepare_jax(requests[0].config.output.device)
    with progress.interruptible() as stopped:
        about, made = _all_made(axes, requests, looks, stopped)
        if all(each.pixels is None for each in made) and stopped():
            progress.warn("interrupted; nothing was written")
            return 128 + stopped()
        asked.write(requests[0], file, _sheet(axes, requests, looks, made, about))
        failed = sum(each.pixels is None for each in made)
        if failed:
            why = "interrupted; " if stopped() else ""
            progress.warn(f"{why}{failed} of {len(made)} pictures could not be made")
        return 128 + stopped() if stopped() else int(failed > 0)


def _looks(configs: Sequence[Config]) -> list[_Look]:
    """What each variation looks at, read once where it is the same."""
    found: dict[Any, _Look] = {}
    whole = 0
    for config in configs:
        if _key(config) not in found:
            found[_key(config)] = _look(config)
        rows, columns = found[_key(config)].shape
        whole += rows * columns
        if whole > _MOST_PIXELS:
            raise RequestError(
                f"sweep draws {_MOST_PIXELS // 10**6} million pixels at most, and "
                f"{len(configs)} pictures of {columns}x{rows} px have more; ask for a "
                "smaller --size"
            )
    return [found[_key(config)] for config in configs]


def _key(config: Config) -> Any:
    """All that the pictures depend on, at all scales."""
    default = InputConfig()
    files = dataclasses.replace(
        config.inputs,
        seed=default.seed,
        noise=default.noise,
        noise_amplitude=default.noise_amplitude,
        noise_ratio=default.noise_ratio,
    )
    goal = config.objective
    layers = (config.network.network, goal.content_layers, goal.style_layers)
    return (files, config.control, config.solve.scales, *layers, goal.style_weights)


def _look(config: Config) -> _Look:
    given = inputs.read(config)
    shapes = inputs.shapes(given, config)
    return _Look({shape: inputs.at(given, shape, config) for shape in shapes})


def _all_made(
    axes: Sequence[variations.Axis],
    requests: Sequence[flags.Request],
    looks: Sequence[_Look],
    stopped: Callable[[], int],
) -> tuple[str, list[_Made]]:
    """A line on how the pictures are made, and each, told of as it is finished."""
    from nst_jax.show import probes

    output, made = requests[0].config.output, []
    with probes.networks(output.device) as settled:
        # Weights that are not to be had end it here.
        jobs = [settled(request.config) for request in requests]
        about = _about(*jobs[0], looks[0])
        tell = _teller(len(jobs), quiet=output.quiet)
        if not output.quiet:
            progress.say(f"{len(jobs)} pictures of {about}")
        for texts, look, job in zip(
            variations.combinations(axes), looks, jobs, strict=True
        ):
            if stopped():
                made.append(_Made(None, "not made"))
                continue
            made.append(_made(look, *job, stopped))
            tell(variations.named(axes, texts))
    return about, made


def _made(
    look: _Look, config: Config, weights: "Weights", stopped: Callable[[], int]
) -> _Made:
    """The picture, or why there is none; the others are made all the same."""
    from nst_jax import words
    from nst_jax.show import probes

    try:
        result = probes.painted(look.at, weights, config, stopped)
    except RequestError as error:
        return _Made(None, str(error))
    # Whatever it is, it is told as a run tells it.
    except Exception as error:
        return _Made(None, words.fault(error))
    if stopped():
        return _Made(None, "not made")
    if not result.is_finite:
        return _Made(None, words.divergence(result.steps))
    return _Made(result.image)


def _teller(count: int, *, quiet: bool) -> Callable[[str], None]:
    """Tells that a picture is made, how long that took and what is left."""
    from nst_jax import devices

    marks = [(time.monotonic(), devices.compile_seconds())]
    worked: list[float] = []

    def tell(name: str) -> None:
        now, compiled = time.monotonic(), devices.compile_seconds()
        seconds, compiling = now - marks[-1][0], compiled - marks[-1][1]
        marks.append((now, compiled))
        worked.append(max(seconds - compiling, 0))
        # What is to be compiled yet, nobody knows.
        left = sum(worked) / len(worked) * (count - len(worked))
        share = f", {compiling:.1f} s of it compiling" if compiling >= 0.05 else ""
        if not quiet:
            progress.say(
                f"{len(worked)}/{count} {name}: {seconds:.1f} s{share}; about "
                f"{left:.0f} s left"
            )

    return tell


# What is drawn


def _sheet(
    axes: Sequence[variations.Axis],
    requests: Sequence[flags.Request],
    looks: Sequence[_Look],
    made: Sequence[_Made],
    about: str,
) -> bytes:
    """The figure: what was given, then a row for each value of the second setting."""
    rows = [figures.Row("", _given(requests, looks))]
    cells = zip(variations.combinations(axes), looks, made, strict=True)
    troubles = []
    for others, row in itertools.groupby(cells, key=lambda cell: cell[0][1:]):
        panels = []
        for texts, look, each in row:
            name = variations.named(axes[:1], texts[:1])
            if each.trouble:
                troubles.append(f"{variations.named(axes, texts)}: {each.trouble}")
                name = f"{name}: failed"
            pixels = _crossed(look.shape) if each.pixels is None else each.pixels
            panels.append(_labelled(pixels, name))
        rows += _wrapped(variations.named(axes[1:], others), panels)
    varied = ", ".join(axis.name for axis in axes)
    return figures.png(f"By {varied}", "; ".join([about, *troubles]), rows)


def _given(
    requests: Sequence[flags.Request], looks: Sequence[_Look]
) -> list[figures.Panel]:
    """The content and all styles, as large as the content.

    Of a style at several scales it is the largest, which shows most.
    """
    found: dict[str, Pixels] = {}
    for request, look in zip(requests, looks, strict=True):
        settings, final = request.config.inputs, look.final
        if settings.content:
            found.setdefault(settings.content, final.content)
        for path, style in zip(settings.style, final.styles, strict=True):
            if path not in found or found[path].size < style.size:
                found[path] = style
    side = max(looks[0].shape)
    return [
        _labelled(
            images.resize(
                pixels,
                images.working_size(pixels.shape[:2], side, "long", 1),
                filter="lanczos",
            ),
            Path(path).name,
        )
        for path, pixels in found.items()
    ]


def _wrapped(heading: str, panels: Sequence[figures.Panel]) -> list[figures.Row]:
    """The panels in as many rows as they need, all about as long."""
    count = math.ceil(len(panels) / math.ceil(len(panels) / _WIDEST))
    starts = range(0, len(panels), count)
    headings = itertools.chain([heading], itertools.repeat(""))
    return [
        figures.Row(words, panels[first : first + count])
        for words, first in zip(headings, starts, strict=False)
    ]


def _labelled(pixels: Pixels, label: str) -> figures.Panel:
    """The panel, its label cut to its width."""
    most = max(pixels.shape[1] // _LETTER, 8)
    return figures.Panel(
        pixels, label if len(label) <= most else f"{label[: most - 1]}\u2026"
    )


def _crossed(shape: Shape) -> Pixels:
    """What stands for a picture that could not be made."""
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    on_lines = np.abs(np.abs(rows) - np.abs(columns)) < 0.02
    grey = np.where(on_lines, 0.6, 0.9).astype(np.float32)
    return np.stack([grey] * 3, axis=-1)


def _about(config: Config, weights: "Weights", look: _Look) -> str:
    """How the first picture is made."""
    steps, moves = config.solve.steps, config.optimizer.optimizer
    return (
        f"{asked.px(look.shape)} px, {steps} step{'s' * (steps != 1)} of {moves}, "
        f"{weights.network} ({weights.name}), {config.network.precision}"
    )
