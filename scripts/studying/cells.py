"""The cells of the tables: what was found, and what it measures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from nst_jax import inputs, job
from nst_jax.config import Config
from studying import grids, judge, store
from studying.grids import Grid, Trial
from studying.judge import Measured, Picture
from studying.store import Found

# The name of the judge that sees every cell: the study's own network.
OWN = ""


class Cell(NamedTuple):
    """One row of a table; what is missing was not computed yet."""

    trial: Trial
    mark: int
    found: Found
    image: Picture | None
    measured: Mapping[str, Measured]  # by the judge's name
    fault: str

    @property
    def row(self) -> dict[str, float] | None:
        """The measured row of the curves."""
        return self.found.at(self.mark)

    @property
    def file(self) -> str:
        """The name of its picture."""
        return f"{self.trial.key}-{self.mark}.png"


class Part(NamedTuple):
    """A grid with its cells, and what its judges say of the untouched photo."""

    grid: Grid
    cells: Sequence[Cell]
    photo: Mapping[str, Measured]


def collect(
    every: Sequence[Grid],
    place: Callable[[Trial], Path],
    config: Config,
    device: jax.Device,
    failed: Mapping[str, str],
) -> list[Part]:
    """All that is there of the grids."""
    return [_part(grid, place, config, device, failed) for grid in every]


def _part(
    grid: Grid,
    place: Callable[[Trial], Path],
    config: Config,
    device: jax.Device,
    failed: Mapping[str, str],
) -> Part:
    found = {trial.key: store.read(place(trial)) for trial in grid.trials}
    images: dict[str, Picture] = {}
    for trial, mark in grid.cells:
        image = _image(found[trial.key], mark)
        if image is not None:
            images[f"{trial.key}-{mark}.png"] = image
    measured = {
        name: _measured(images, settings)
        for name, settings in _judges(grid, config, device, failed).items()
    }
    cells = []
    for trial, mark in grid.cells:
        name = f"{trial.key}-{mark}.png"
        seen = {who: rows[name] for who, rows in measured.items() if name in rows}
        fault = failed.get(trial.label, "") or _fault(found[trial.key], mark)
        image = images.get(name)
        cells.append(Cell(trial, mark, found[trial.key], image, seen, fault))
    return Part(grid, cells, {who: rows["photo"] for who, rows in measured.items()})


def _fault(found: Found, mark: int) -> str:
    return "" if mark in found.images and mark < found.step else found.fault


def _image(found: Found, mark: int) -> Picture | None:
    """The picture at a mark, or the last good one before a fault."""
    if mark in found.images:
        return found.images[mark]
    return found.images[max(found.images)] if found.fault and found.images else None


def _judges(
    grid: Grid, config: Config, device: jax.Device, failed: Mapping[str, str]
) -> dict[str, Config]:
    """The settings that results are looked at with.

    Where networks are compared, each looks at the results of all: whoever a picture
    was made with is no neutral judge of it.
    """
    if grid.name == "runtime":
        return {OWN: grids.settings(config, grid.trials[0].changes)}
    found = {OWN: config}
    if grid.name in ("networks", "pooling"):
        for trial in grid.trials:
            if trial.label not in failed:
                own = grids.settings(config, trial.changes)
                found[trial.label] = job.resolve(own, device)
    return found


def _measured(images: Mapping[str, Picture], config: Config) -> dict[str, Measured]:
    plain = dataclasses.replace(config.inputs, init="content")
    config = dataclasses.replace(config, inputs=plain)
    pictures = inputs.read(config).final
    return judge.measure(pictures, {**images, "photo": pictures.content}, config)
