"""How the image is moved, and how long."""

import dataclasses
from typing import Literal

from nst_jax import scales
from nst_jax.errors import RequestError
from nst_jax.settings import check, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How the image is moved. Rates are in the units of an image in 0..1."""

    optimizer: Literal["lbfgs", "adam", "rmsprop", "adagrad", "sgd"] = setting(
        "lbfgs", "Optimiser; lbfgs searches along each step and needs no rate."
    )
    learning_rate: float = setting(
        0.0,
        "First step size; 0 is the optimiser's own: lbfgs 1, adam 0.02, rmsprop"
        " 0.01, adagrad 0.1, sgd 0.01.",
        low=0,
    )
    basis: Literal["pixels", "waves"] = setting(
        "pixels",
        "What is moved: pixels, or the cosines that make up the image, broad ones"
        " further, which needs fewer steps.",
    )
    schedule: Literal["constant", "exponential", "cosine", "inverse_root"] = setting(
        "constant",
        "How the rate falls: by schedule_rate every schedule_steps, as a"
        " cosine to zero over schedule_steps, or as (1 + schedule_rate * step)^-1/2.",
    )
    schedule_rate: float = setting(0.96, "See --schedule.", low=0, high=1)
    schedule_steps: int = setting(100, "See --schedule.", low=1)
    warmup_steps: int = setting(0, "Steps over which the rate rises from 0.", low=0)
    beta1: float = setting(0.9, "Adam: decay of the mean.", low=0, high=0.999999)
    beta2: float = setting(0.99, "Adam: decay of the square.", low=0, high=0.999999)
    epsilon: float = setting(1e-8, "Keeps divisors from zero.", low=1e-30)
    epsilon_place: Literal["auto", "root", "square", "raw"] = setting(
        "auto",
        "Where epsilon is added: to the root of the squares, to the squares under it,"
        " or to the root before Adam's bias correction (raw: Keras' Adam); auto is root"
        " for adam, square for rmsprop and adagrad.",
    )
    decay: float = setting(0.9, "RMSprop: decay of the square.", low=0, high=0.999999)
    momentum: float = setting(0.0, "RMSprop and sgd: momentum.", low=0, high=0.999999)
    nesterov: bool = setting(False, "Look ahead: adam, rmsprop and sgd.")
    accumulator: float = setting(
        0.1, "Adagrad: first value of the sum of squares.", low=0
    )
    history: int = setting(
        10, "L-BFGS: pairs remembered, each as large as two images.", low=1, high=1000
    )
    line_search: Literal["zoom", "none"] = setting(
        "zoom", "L-BFGS: search along each step, or take steps of the learning rate."
    )
    linesearch_steps: int = setting(
        20, "L-BFGS: evaluations a line search may take.", low=1, high=1000
    )
    first_step: float = setting(
        1.0,
        "L-BFGS without line search: by how much the first step moves all pixels"
        " together (image 0..1).",
        low=1e-9,
    )
    longest_step: float = setting(
        0.0,
        "L-BFGS without line search: the most that a step moves a value on average"
        " (image 0..1); 0 for no bound.",
        low=0,
    )
    box: Literal["auto", "step", "end", "none"] = setting(
        "auto",
        "Where pixels are kept in 0..1: after each step, at the end only, or"
        " only in the written file (none); auto is end for lbfgs, step for the others.",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.optimizer == "lbfgs" and (
            self.schedule != "constant" or self.warmup_steps
        ):
            raise RequestError(
                "--schedule and --warmup_steps are not for --optimizer=lbfgs, which "
                "finds its own steps; choose another --optimizer"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolveConfig:
    """How long it goes on."""

    steps: int = setting(
        300, "Updates of the image, at the last scale; 0 only measures it.", low=0
    )
    log_every: int = setting(
        10, "Steps between rows of the metrics, or calls of a callback.", low=1
    )
    scales: str = setting(
        "auto",
        "Long sides to work through from coarse to fine: none, auto (halving down to"
        " what the network sees whole), 2, sqrt2 (factors), or a list: 256,512.",
    )
    scale_steps: tuple[int, ...] = setting(
        (),
        "Updates at each scale before the last, from the smallest; the last of the"
        " list serves all that follow; empty: as --steps.",
        low=1,
    )
    scale_filter: Literal["bicubic", "bilinear", "lanczos"] = setting(
        "bicubic", "How the image is enlarged from one scale to the next."
    )
    keep: Literal["last", "best", "average"] = setting(
        "last",
        "Which image is the result: the last, the one of the lowest loss, or the"
        " running average.",
    )
    average_decay: float = setting(
        0.99, "Share of the past in the running average.", low=0, high=0.999999
    )
    tolerance: float = setting(
        0.0,
        "Ends a scale once the lowest loss fell by less than this share over"
        " --tolerance_steps; 0 never does.",
        low=0,
        high=1,
    )
    tolerance_steps: int = setting(20, "See --tolerance.", low=1)
    max_recoveries: int = setting(
        10,
        "How often a run whose loss is no number, explodes or stalls goes back to the"
        " last good image, with half the rate or without L-BFGS's history; then it"
        " ends with status 1.",
        low=0,
        high=1000,
    )
    max_seconds: float = setting(
        0.0,
        "Ends the run after so many seconds in all, compiling included, its scales"
        " sharing them; 0 never does.",
        low=0,
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)
        scales.parse(self.scales)
