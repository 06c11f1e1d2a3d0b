"""How much memory a job takes, and whether and in which windows it fits.

Counted from the layers' tables and not from a compiled program, so that it is known
before anything is compiled and a search over plans costs nothing. docs/memory.md has
how far the counts are from what was measured.
"""

import bisect
import dataclasses
import functools
import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import (
    devices,
    fitting,
    footprint,
    layers,
    mesh,
    objective,
    optimizers,
    tiles,
    vgg,
)
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.footprint import Network
from nst_jax.kept import Keep

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # it does not tell

Shape = tuple[int, int]

_PIXEL = 3 * 4  # bytes
# The program itself, with Python and JAX; then what the compiler takes while it works:
# for Winograd's transforms, a line search, windows, and exact roots of matrices.
_PROGRAM = 500 * 2**20
_TRANSFORMS, _SEARCH, _WINDOWS, _ROOTS = (n * 2**20 for n in (130, 130, 60, 375))
# Images beside the optimiser's state: on the host, the step's own, and while a
# picture is taken over.
_PICTURES = 9
# With fewer pairs L-BFGS is not worth its name.
_LEAST_HISTORY = 3
_LARGEST = 2**15  # pixels of a long side that is asked about


class Need(NamedTuple):
    """Bytes at the peak of a job, by what they are for; of one device of several."""

    program: int
    network: int
    pictures: int  # and their targets
    optimizer: int
    features: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def need(
    content: Shape, styles: Sequence[Shape], config: Config, forward: vgg.Forward
) -> Need:
    """What a job takes at its peak, in the windows that `plan` gives it."""
    shares = _shares(content, config, forward)
    return _need(content, styles, config, _network(config, forward, shares))


def _need(
    content: Shape, styles: Sequence[Shape], config: Config, used: Network
) -> Need:
    chosen = _plan(content, config, used)
    alone, forward = used._replace(shares=tiles.ALONE), used.forward
    of_styles = (
        footprint.looking(alone, style_plan(each, config, forward), each)
        for each in styles
    )
    # A style as large as the content is among the pictures already.
    more = sum(math.prod(each) for each in styles) - math.prod(content)
    fixed = _fixed(content, config, used, chosen)
    return fixed._replace(
        pictures=fixed.pictures + _PIXEL * max(0, more),
        features=max(footprint.stepping(used, chosen, content), *of_styles, 0),
    )


def limit(config: Config) -> int:
    """Bytes that a job may take: as asked for, or all there are but a tenth.

    On each of several devices, which on a CPU have one memory together.
    """
    asked = config.memory.memory_limit
    there = int(asked * 2**30) if asked else int(0.9 * devices.memory())
    return there // _sharing(config)


def _sharing(config: Config) -> int:
    return devices.sharing(config.spread.devices)


def layout(content: Shape, config: Config, forward: vgg.Forward) -> mesh.Layout | None:
    """How a picture of this shape lies on several devices; None on one."""
    found = devices.several(config.spread.devices)
    if not found:
        return None
    return mesh.of(found, content[0], _shares(content, config, forward).rows)


@functools.lru_cache(maxsize=256)
def _shares(content: Shape, config: Config, forward: vgg.Forward) -> tiles.Shares:
    """Copies on each device, or rows of its own where that does not fit."""
    settings = config.spread
    copies = tiles.Shares(len(devices.several(settings.devices)) or 1)
    if copies.devices == 1 or settings.spread == "copies" or config.needs_copies():
        return copies
    used = _network(config, forward, copies)
    unit = layers.stride(used.names, forward.network)
    rows = copies._replace(rows=tiles.share(content[0], copies.devices, unit))
    if settings.spread == "rows":
        return rows
    fits = _need(content, (), config, used).total <= limit(config)
    return copies if fits else rows


def plan(content: Shape, config: Config, forward: vgg.Forward) -> tiles.Plan:
    """The windows in which a picture of this shape is looked at."""
    shares = _shares(content, config, forward)
    return _plan(content, config, _network(config, forward, shares))


def _plan(content: Shape, config: Config, used: Network) -> tiles.Plan:
    settings = config.memory
    if not used.names:
        return ()
    if settings.tile not in ("auto", "none"):
        return fitting.of_side(used, content, int(settings.tile))
    if used.shares.devices > 1:
        room = limit(config) - _fixed(content, config, used, ()).total - _WINDOWS
        return fitting.least_work(used, content, room)
    usual = fitting.strips(used, content) if settings.rematerialize else ()
    if settings.tile == "none":
        return usual
    room = limit(config) - _fixed(content, config, used, usual).total
    if footprint.stepping(used, usual, content) <= room:
        return usual
    return fitting.least_work(used, content, room if usual else room - _WINDOWS)


def style_plan(style: Shape, config: Config, forward: vgg.Forward) -> tiles.Plan:
    """The windows in which a style of this shape is looked at, once."""
    used, settings = _network(config, forward._replace(wrap="none")), config.memory
    if not used.names or (settings.tile == "none" and not settings.rematerialize):
        return ()
    if settings.tile not in ("auto", "none"):
        return fitting.of_side(used, style, int(settings.tile))
    if settings.rematerialize:
        return fitting.strips(used, style)
    return fitting.squares(used, style, limit(config) // 4)


def fitted(
    content: Shape, styles: Sequence[Shape], config: Config, forward: vgg.Forward
) -> Config:
    """The settings with which a job fits: the same, or rows, or a shorter history.

    Rows serve where the styles leave no room for copies. What cannot fit is refused,
    with the settings that would.
    """

    def fits(changed: Config) -> bool:
        return need(content, styles, changed, forward).total <= limit(config)

    if fits(config):
        return config
    is_free = config.spread.spread == "auto" and not config.spread.is_one()
    if is_free and not config.needs_copies():
        rows = dataclasses.replace(config.spread, spread="rows")
        config = dataclasses.replace(config, spread=rows)
        if fits(config):
            return config
    moves = config.optimizer
    if config.memory.tile == "auto" and moves.optimizer == "lbfgs":
        shorter = range(_LEAST_HISTORY, moves.history)
        # Those that fit come first.
        count = bisect.bisect(
            shorter, 0, key=lambda history: not fits(_with(config, history=history))
        )
        if count:
            return _with(config, history=shorter[count - 1])
    ways = {
        "--tile=auto": _with(config, tile="auto"),
        "--tile=auto --optimizer=adam": _with(config, "adam", tile="auto"),
    }
    size = largest(content, styles, config, forward)
    would = [name for name, changed in ways.items() if fits(changed)][:1]
    would += [f"--size={size}"] if size else ["more memory"]
    asked = need(content, styles, config, forward).total
    raise RequestError(
        f"{content[1]}x{content[0]} must fit into {_gib(limit(config))}, and takes "
        f"about {_gib(asked)} with these settings; it fits with {' or '.join(would)}, "
        "or --memory_limit allows more"
    )


def largest(
    content: Shape, styles: Sequence[Shape], config: Config, forward: vgg.Forward
) -> int:
    """The largest long side at which a job of this kind fits; 0 if none does."""
    there, long = limit(config), max(content)
    least = config.least_content()

    def fits(size: int) -> bool:
        rows, columns = (max(least, round(side * size / long)) for side in content)
        return need((rows, columns), styles, config, forward).total <= there

    low, high = 0, _LARGEST
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


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


def _network(
    config: Config, forward: vgg.Forward, shares: tiles.Shares = tiles.ALONE
) -> Network:
    """The part of the settings that features depend on."""
    how = objective.recipe(config.objective, forward)
    names = tuple(dict.fromkeys((*how.content_layers, *how.style_layers)))
    centred = how.style_layers if set(how.statistics) - {"gram"} else ()
    return Network(names, forward, centred, shares)


def _fixed(content: Shape, config: Config, used: Network, chosen: tiles.Plan) -> Need:
    """What a job takes whatever the windows of a step, but for its styles."""
    how = objective.recipe(config.objective, used.forward)
    if used.shares.rows:
        content = used.shares.rows, content[1]
    targets = footprint.whole_maps(used, content, how.content_layers)
    settings = config.optimizer
    return Need(
        program=_program(config, used, chosen) // _sharing(config)
        if devices.current().platform == "cpu"
        else 0,
        network=footprint.network_bytes(used, chosen, content),
        pictures=_PICTURES * _PIXEL * math.prod(content) + targets,
        optimizer=_state(content, settings, config.solve.keep),
        features=0,
    )


def _program(config: Config, used: Network, chosen: tiles.Plan) -> int:
    """What is there before any picture, and what compiling adds to it."""
    moves, losses = config.optimizer, config.objective.style_losses()
    searches = moves.optimizer == "lbfgs" and moves.line_search == "zoom"
    return (
        _PROGRAM
        + _TRANSFORMS * (used.forward.products == "winograd")
        + _SEARCH * searches
        + _WINDOWS * bool(chosen)
        + _ROOTS * bool(losses.get("wasserstein"))
    )


@functools.lru_cache(maxsize=256)
def _state(shape: Shape, settings: Any, keep: Keep) -> int:
    """The optimiser's state, and the images that travel with it."""
    image = jax.ShapeDtypeStruct((*shape, 3), jnp.float32)
    state = jax.eval_shape(optimizers.make(settings).init, image)
    whole = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    image_bytes = _PIXEL * math.prod(shape)
    if settings.optimizer == "lbfgs" and settings.line_search == "none":
        # Its direction takes all pairs at once, laid side by side.
        whole += 2 * 2 * settings.history * image_bytes
    images = 2 if keep == "last" else 3  # the image, the last good one, what is kept
    return whole + images * image_bytes


def _with(config: Config, optimizer: str = "", **changes: Any) -> Config:
    """The settings with other ones of the memory or of the optimiser."""
    moves: dict[str, Any] = {"optimizer": optimizer} if optimizer else {}
    if "history" in changes:
        moves["history"] = changes.pop("history")
    return dataclasses.replace(
        config,
        optimizer=dataclasses.replace(config.optimizer, **moves),
        memory=dataclasses.replace(config.memory, **changes),
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
