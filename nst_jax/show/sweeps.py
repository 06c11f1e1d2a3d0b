"""`show sweep`: a photo in variations, as a sheet of small pictures.

Each variation is a request of its own, read and checked as a run's is. JAX is loaded
by `probes`, after everything that can be checked.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from nst_jax import flags, inputs, progress, signals, start
from nst_jax.config import Config, InputConfig
from nst_jax.errors import RequestError
from nst_jax.show import asked, sheets, variations

if TYPE_CHECKING:
    from nst_jax.arrays import Weights

_MOST_PIXELS = 50_000_000  # of all pictures together
_MOST_NAMED = 5  # values of a setting in the figure's small print


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
        sheets.drawn(axes, requests, looks, [sheets.Made(None)] * len(looks), "")
    except RequestError as error:
        what = str(error).partition(";")[0]
        raise RequestError(
            f"{what}; ask for a smaller --size or fewer values"
        ) from None
    start.prepare_jax(requests[0].config.output.device)
    with signals.interruptible() as stopped:
        about, made = _all_made(axes, requests, looks, stopped)
        if all(each.pixels is None for each in made) and stopped():
            progress.warn("interrupted; nothing was written")
            return 128 + stopped()
        sheet = sheets.drawn(axes, requests, looks, made, about)
        asked.write(requests[0], [(file, sheet)])
        failed = sum(each.pixels is None for each in made)
        if failed:
            why = "interrupted; " if stopped() else ""
            progress.warn(f"{why}{failed} of {len(made)} pictures could not be made")
        return 128 + stopped() if stopped() else int(failed > 0)


def _looks(configs: Sequence[Config]) -> list[sheets.Look]:
    """What each variation looks at, read once where it is the same."""
    found: dict[Any, sheets.Look] = {}
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


def _look(config: Config) -> sheets.Look:
    given = inputs.read(config)
    shapes = inputs.shapes(given, config)
    return sheets.Look({shape: inputs.at(given, shape, config) for shape in shapes})


def _all_made(
    axes: Sequence[variations.Axis],
    requests: Sequence[flags.Request],
    looks: Sequence[sheets.Look],
    stopped: Callable[[], int],
) -> tuple[str, list[sheets.Made]]:
    """A line on how the pictures are made, and each, told of as it is finished."""
    from nst_jax.show import probes

    output, made = requests[0].config.output, []
    with probes.networks(output.device) as settled:
        # Weights that are not to be had end it here.
        jobs = [settled(request.config) for request in requests]
        about = _about(jobs, looks)
        tell = _teller(len(jobs), quiet=output.quiet)
        if not output.quiet:
            progress.say(f"{len(jobs)} pictures of {about}")
        for texts, look, job in zip(
            variations.combinations(axes), looks, jobs, strict=True
        ):
            if stopped():
                made.append(sheets.Made(None, "not made"))
                continue
            made.append(_made(look, *job, stopped))
            tell(variations.named(axes, texts))
    return about, made


def _made(
    look: sheets.Look, config: Config, weights: "Weights", stopped: Callable[[], int]
) -> sheets.Made:
    """The picture, or why there is none; the others are made all the same."""
    from nst_jax import words
    from nst_jax.show import probes

    try:
        result = probes.painted(look.at, weights, config, stopped)
    except RequestError as error:
        return sheets.Made(None, str(error))
    # Whatever it is, it is told as a run tells it.
    except Exception as error:
        return sheets.Made(None, words.fault(error))
    if stopped():
        return sheets.Made(None, "not made")
    if not result.is_finite:
        return sheets.Made(None, words.divergence(result.steps))
    return sheets.Made(result.image)


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


def _about(
    jobs: "Sequence[tuple[Config, Weights]]", looks: Sequence[sheets.Look]
) -> str:
    """How the pictures are made, with all values of what differs among them."""
    configs, networks = [config for config, _ in jobs], [weights for _, weights in jobs]
    sizes = _either(asked.px(look.shape) for look in looks)
    counts = [config.solve.steps for config in configs]
    moves = _either(config.optimizer.optimizer for config in configs)
    network = _either(f"{weights.network} ({weights.name})" for weights in networks)
    precision = _either(config.network.precision for config in configs)
    plural = "s" * any(count != 1 for count in counts)
    return (
        f"{sizes} px, {_either(map(str, counts))} step{plural} of {moves}, {network}, "
        f"{precision}"
    )


def _either(values: Iterable[str]) -> str:
    """Each value once, or the first few; its pictures are labelled with them all.

    >>> _either(["lbfgs", "adam", "lbfgs"])
    'lbfgs or adam'
    """
    once = [*dict.fromkeys(values)]
    more = ["\u2026"] if len(once) > _MOST_NAMED else []
    return " or ".join([*once[:_MOST_NAMED], *more])
