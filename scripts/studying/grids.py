"""What is tried: trials that differ from the study's settings in a few of them.

A trial is one run of the optimiser; its marks are the steps at which it is looked at.
Rows of a table that differ only in steps are marks of one trial, since the shorter run
is the beginning of the longer one.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from nst_jax import flagfile
from nst_jax.config import STYLE_LOSSES, Config, OptimizerConfig
from nst_jax.errors import RequestError
from nst_jax.settings import check, setting

# Table 1 of the student report that asked, row by row.
ROWS = (
    *("adam:0.02:250", "adagrad:0.02:250", "adagrad:0.1:250"),
    *("adam:0.02:500", "adagrad:0.02:500", "rmsprop:0.02:500"),
    *("adam:0.02:2500", "adagrad:0.02:2500", "rmsprop:0.02:2500"),
    "rmsprop:0.001:2500",
)
NAMES = ("optimizers", "losses", "networks", "pooling", "runtime")
# How much more and less the style weighs, when losses are compared.
FACTORS = (1.0, 0.25, 4.0)
_OPTIMIZERS = get_args(OptimizerConfig.__dataclass_fields__["optimizer"].type)
# Pixels that take as long as what does not depend on the size: the deep kernels.
_DEEP = 6000
# With these the terms have another size: they are made to weigh as the study's own.
_UNLIKE = {"style_loss", "network", "weights", "pooling"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What is compared."""

    grid: tuple[str, ...] = setting(
        ("optimizers",), f"What to compare: {', '.join(NAMES)}, or all of it."
    )
    rows: tuple[str, ...] = setting(
        ROWS, "Rows of the grid of optimisers, each OPTIMIZER:RATE:STEPS."
    )
    vgg16_weights: str = setting(
        "auto", "Weights of the VGG16 that stands beside VGG19: as --weights."
    )

    compute: bool = setting(
        True, "Compute what is missing; without it, report what is there."
    )

    def __post_init__(self) -> None:
        check(self)
        for name in self.grid:
            if name not in (*NAMES, "all"):
                raise RequestError(
                    f"--grid must name some of {', '.join(NAMES)}, or all, got {name!r}"
                )
        for text in self.rows:
            row(text)

    def names(self) -> tuple[str, ...]:
        """The grids asked for, in the order of the report."""
        return (
            NAMES if "all" in self.grid else tuple(n for n in NAMES if n in self.grid)
        )


class Trial(NamedTuple):
    """One run: where its settings differ from the study's, and when it is looked at."""

    label: str
    changes: tuple[tuple[str, Any], ...]
    marks: tuple[int, ...]

    @property
    def key(self) -> str:
        """The name of its files: the settings that differ."""
        parts = [f"{name}-{flagfile.to_text(value)}" for name, value in self.changes]
        return re.sub(r"[^\w.,=-]+", "_", "_".join(parts)) or "as_set"

    @property
    def is_unlike(self) -> bool:
        """Whether its terms are measured differently from the study's."""
        return not _UNLIKE.isdisjoint(name for name, _ in self.changes)


class Grid(NamedTuple):
    """Trials that belong on one page; `cells` are the rows of its table."""

    name: str
    heading: str
    about: str
    trials: tuple[Trial, ...]

    @property
    def cells(self) -> list[tuple[Trial, int]]:
        """Each trial at each of its marks, fewer steps first."""
        every = [(trial, mark) for trial in self.trials for mark in trial.marks]
        return sorted(every, key=lambda cell: cell[1])


def row(text: str) -> tuple[str, float, int]:
    """Optimiser, rate and steps of a row of the table.

    >>> row("adam:0.02:250")
    ('adam', 0.02, 250)
    """
    parts = text.split(":")
    try:
        optimizer, rate, steps = parts[0], float(parts[1]), int(parts[2])
    except (IndexError, ValueError):
        optimizer, rate, steps = "", 0.0, 0
    if len(parts) != 3 or optimizer not in _OPTIMIZERS or not rate > 0 or steps < 1:
        raise RequestError(
            "--rows must be OPTIMIZER:RATE:STEPS such as adam:0.02:250, with one of "
            f"{', '.join(_OPTIMIZERS)}, got {text!r}"
        )
    return optimizer, rate, steps


def grids(config: Config, own: StudyConfig, given: Iterable[str] = ()) -> list[Grid]:
    """The grids asked for. `given` names settings that no trial may replace."""
    makers = {
        "optimizers": lambda: _optimizers(config, own.rows, frozenset(given)),
        "losses": lambda: _losses(config),
        "networks": lambda: _networks(config, own.vgg16_weights),
        "pooling": lambda: _pooling(config),
        "runtime": lambda: _runtime(config),
    }
    return [makers[name]() for name in own.names()]


def turns(found: Sequence[Grid]) -> list[tuple[Trial, int]]:
    """Every trial with every mark of any grid, once, in the order of the work.

    The short rows of a grid come first: what is there early is comparable.
    """
    marks: dict[str, set[int]] = {}
    for trial in (trial for grid in found for trial in grid.trials):
        marks.setdefault(trial.key, set()).update(trial.marks)
    ordered = [cell for grid in found for cell in grid.cells]
    once = {(trial.key, mark): trial for trial, mark in reversed(ordered)}
    return [
        (trial._replace(marks=tuple(sorted(marks[trial.key]))), mark)
        for trial, mark in ordered
        if once.pop((trial.key, mark), None)
    ]


def settings(config: Config, changes: Iterable[tuple[str, Any]]) -> Config:
    """The settings of a trial."""
    wanted = dict(changes)
    for name, group in flagfile.groups(Config).items():
        own = {field.name for field in dataclasses.fields(group)} & wanted.keys()
        part = dataclasses.replace(
            getattr(config, name), **{each: wanted[each] for each in own}
        )
        config = dataclasses.replace(config, **{name: part})
    return config


def cost(trial: Trial, shape: tuple[int, int]) -> float:
    """About what a step takes, where the study's picture has `shape`."""
    changes = dict(trial.changes)
    pixels = changes["size"] ** 2 if "size" in changes else shape[0] * shape[1]
    return float(pixels + _DEEP)


def _trial(
    config: Config, label: str, changes: Mapping[str, Any], marks: Iterable[int]
) -> Trial:
    """The trial; what is as in the study's settings is no change."""
    usual = {field.name: value for field, value in flagfile.settings(config)}
    own = {name: value for name, value in changes.items() if usual[name] != value}
    return Trial(label, tuple(sorted(own.items())), tuple(sorted(set(marks))))


def _optimizers(config: Config, rows: Sequence[str], given: frozenset[str]) -> Grid:
    def changes(optimizer: str, rate: float) -> dict[str, Any]:
        own: dict[str, Any] = {"optimizer": optimizer, "learning_rate": rate}
        if optimizer != config.optimizer.optimizer:
            own["epsilon_place"] = "auto"
        if optimizer == "lbfgs":
            # A projection would spoil what its line search knows.
            own |= {"box": "auto", "schedule": "constant", "warmup_steps": 0}
        return {name: value for name, value in own.items() if name not in given}

    ordered = sorted(map(row, rows), key=lambda each: each[:2])
    made = []
    for (optimizer, rate), same in itertools.groupby(ordered, lambda each: each[:2]):
        marks = [steps for _, _, steps in same]
        made.append(
            _trial(config, f"{optimizer} {rate:g}", changes(optimizer, rate), marks)
        )
    return Grid(
        "optimizers",
        "Optimisers, learning rates and steps",
        "One objective, moved by different optimisers. Rows of one optimiser and rate "
        "are one run looked at on its way: 250 steps are the beginning of 2500.",
        tuple(made),
    )


def _losses(config: Config) -> Grid:
    steps, weight = config.solve.steps, config.objective.style_weight
    made = []
    for factor, name in itertools.product(FACTORS, STYLE_LOSSES):
        changes = {"style_loss": (name,), "style_weight": weight * factor}
        label = name if factor == 1 else f"{name} {factor:g}x"
        made.append(_trial(config, label, changes, [steps]))
    return Grid(
        "losses",
        "Style losses",
        "Each loss is weighed so that its style term is as large as that of the "
        "study's own loss before the first step; also a quarter and four times that.",
        tuple(made),
    )


def _networks(config: Config, vgg16: str) -> Grid:
    own = config.network
    other = "vgg16" if own.network == "vgg19" else "vgg19"
    weights = vgg16 if other == "vgg16" else "auto"
    pairs = [(own.network, own.weights), (other, weights)]
    return Grid(
        "networks",
        "VGG19 beside VGG16",
        "Both terms weigh with each network as they do with the study's own: content "
        "at a grey picture, style before the first step.",
        tuple(
            _trial(
                config,
                network,
                {"network": network, "weights": weights},
                [config.solve.steps],
            )
            for network, weights in pairs
        ),
    )


def _pooling(config: Config) -> Grid:
    return Grid(
        "pooling",
        "Max pooling beside average pooling",
        "Both terms weigh with each pooling as they do with the study's own: content "
        "at a grey picture, style before the first step.",
        tuple(
            _trial(config, f"{kind} pooling", {"pooling": kind}, [config.solve.steps])
            for kind in ("max", "avg")
        ),
    )


def _runtime(config: Config) -> Grid:
    changes = {
        "optimizer": "adam",
        "learning_rate": 0.02,
        "size": 500,
        "size_rule": "area",
        "init": "noise",
    }
    return Grid(
        "runtime",
        "300 iterations at 500x500 pixels",
        "A course report gives more than an hour on a CPU for a picture of 500x500 "
        "pixels and 300 iterations of Adam, from noise. Here the picture keeps its "
        "shape and has as many pixels.",
        (_trial(config, "adam 500x500", changes, [300]),),
    )
