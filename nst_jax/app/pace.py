"""How long a job takes: the work in it, and how fast this machine does it."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from nst_jax import images, scales
from nst_jax.config import Config
from nst_jax.images import fitting

Shape = tuple[int, int]

# Core seconds for a million pixels and a step, on an x86-64 CPU: a first guess, until
# a job has been measured.
_CORE_SECONDS = 5.6
_ACCELERATOR_SECONDS = 0.06
# What a job takes before its first step at a scale, mostly to compile.
_START_SECONDS = 8.0


class Leg(NamedTuple):
    """The steps at one size."""

    shape: Shape
    steps: int

    @property
    def work(self) -> float:
        """Steps of a million pixels."""
        return self.steps * self.shape[0] * self.shape[1] / 1e6


def legs(content: Shape, config: Config) -> tuple[Leg, ...]:
    """The way of a job with a photo of that shape, from coarse to fine."""
    solving = config.solve
    final = fitting.content_shape(content, _rules(config))
    whole = max(final)
    sides = scales.sizes(whole, solving.scales)
    shapes = [
        images.working_size(content, side, "long", least=0) for side in sides[:-1]
    ]
    used = [each for each in shapes if min(each) >= config.least_content()]
    count = len(used) + 1
    return tuple(
        Leg(
            shape,
            scales.steps_at(index, count, solving.steps, solving.scale_steps),
        )
        for index, shape in enumerate((*used, final))
    )


def styles(paintings: Sequence[Shape], config: Config, final: Shape) -> list[Shape]:
    """The shapes at which paintings of those shapes are looked at, at the last size."""
    scale = config.inputs.style_scale
    each = scale * len(paintings) if len(scale) == 1 else scale
    rules = _rules(config)._replace(least=config.least_side())
    return [
        fitting.style_shape(shape, final, final, factor, rules)
        for shape, factor in zip(paintings, each, strict=True)
    ]


def _rules(config: Config) -> fitting.Rules:
    settings = config.inputs
    return fitting.Rules(
        settings.size,
        settings.size_rule,
        settings.size_rounding,
        settings.enlarge,
        settings.fit,
        config.least_content(),
        config.tiling(),
    )


def guess(platform: str) -> float:
    """Seconds for a million pixels and a step, before anything was measured."""
    if platform != "cpu":
        return _ACCELERATOR_SECONDS
    has_set = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_set else os.cpu_count()
    return _CORE_SECONDS / (cores or 1)


def seconds(way: tuple[Leg, ...], rate: float) -> float:
    """How long the whole way takes at that rate."""
    return sum(leg.work for leg in way) * rate + _START_SECONDS * len(way)


class Meter:
    """Measures a job while it goes on."""

    def __init__(self, way: tuple[Leg, ...], rate: float) -> None:
        self._way, self.rate = way, rate
        self._last = (-1, 0, time.monotonic())
        self.is_measured = False

    def passed(self, step: int) -> float:
        """The seconds that are left after that many steps in all."""
        index, here = self._place(step)
        before, stood, since = self._last
        now = time.monotonic()
        leg = self._way[index]
        done = (here - stood) * leg.work / max(1, leg.steps)
        # The first step at a size has compiled: it says nothing of the speed.
        if index == before and stood > 0 and done > 0:
            found = (now - since) / done
            self.rate = 0.7 * self.rate + 0.3 * found if self.is_measured else found
            self.is_measured = True
        self._last = (index, here, now)
        part = leg.work * (1 - here / max(1, leg.steps))
        after = self._way[index + 1 :]
        waiting = _START_SECONDS if here == 0 else 0.0
        return part * self.rate + waiting + seconds(after, self.rate)

    def share(self, step: int) -> float:
        """How much of the work is done after that many steps in all."""
        index, here = self._place(step)
        whole = sum(leg.work for leg in self._way)
        leg = self._way[index]
        before = sum(each.work for each in self._way[:index])
        done = before + leg.work * here / max(1, leg.steps)
        return done / whole if whole else 1.0

    def _place(self, step: int) -> tuple[int, int]:
        """Which leg it is on, and how many steps into it."""
        for index, leg in enumerate(self._way):
            if step <= leg.steps or index == len(self._way) - 1:
                return index, min(step, leg.steps)
            step -= leg.steps
        return 0, 0
