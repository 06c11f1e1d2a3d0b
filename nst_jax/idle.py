"""Settings that were typed and do nothing in this run, told in one line each.

A preset, a flagfile or a record names every setting, whether it acts or not; who types
one expects something of it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nst_jax import layers, scales
from nst_jax.config import Config
from nst_jax.images import encode, sampling
from nst_jax.inputs import Shapes

Acts = Callable[[Config], bool]


def told(config: Config, typed: frozenset[str], shapes: Shapes) -> list[str]:
    """A line for each setting that does nothing, in the order of their names.

    Args:
        config: all settings.
        typed: the names of those on the command line.
        shapes: those of the result, from coarse to fine, and which sizes are none.
    """
    found = [
        f"--{name} has no effect here: it needs {needs}"
        for name, (needs, acts) in sorted(_NEEDS.items())
        if name in typed and not acts(config)
    ]
    # Of many jobs each is told of its own settings only.
    found += [
        f"--{name} has no effect here: it needs --manifest, or a folder as --content "
        "or --style"
        for name in ("batch", "shard")
        if name in typed
    ]
    found += _by_scale(config, typed, len(shapes))
    found += _unused_scales(config, shapes) if "scales" in typed else ()
    return found


def _by_scale(config: Config, typed: frozenset[str], count: int) -> Iterator[str]:
    """What the number of scales decides."""
    settings = config.solve
    for name in ("scale_filter", "scale_steps"):
        if name in typed and count == 1:
            yield (
                f"--{name} has no effect here: it needs several scales, by --scales or "
                "a larger --size"
            )
    last = scales.starts(count, settings.steps, settings.scale_steps)[-1]
    every = config.output.save_every
    if "save_every" in typed and every >= last > 0:
        yield f"--save_every={every} keeps no picture of {last} steps: give fewer"


def _unused_scales(config: Config, shapes: Shapes) -> Iterator[str]:
    """Which of the sizes that --scales asks for are none of the run's."""
    text, settings = config.solve.scales, config.inputs
    rule = settings.size_rule if settings.size else "long"
    whole = round(sampling.measured(shapes[-1], rule))
    if text in ("2", "sqrt2") and len(shapes) == 1:
        yield f"--scales={text} has no effect here: it needs a larger --size"
    listed = scales.parse(text)
    if listed and shapes.small:
        yield (
            f"--scales leaves out {_and(shapes.small)}: the layers need "
            f"{config.least_content()} px on each side"
        )
    if listed and shapes.same:
        yield (
            f"--scales leaves out {_and(shapes.same)}: rounded, that is the size of "
            "the result"
        )
    large = [size for size in listed if size > whole]
    if large:
        yield f"--scales leaves out {_and(large)}: the result has {whole} px"


def _and(sizes: Sequence[int]) -> str:
    return " and ".join(map(str, sizes))


def _by_optimizer(*names: str) -> Acts:
    return lambda c: c.optimizer.optimizer in names


def _by_style_loss(*names: str) -> Acts:
    return lambda c: (
        _has_style(c) and any(c.objective.style_losses().get(n) for n in names)
    )


def _has_content(config: Config) -> bool:
    return config.objective.content_weight > 0


def _has_style(config: Config) -> bool:
    return config.objective.style_weight > 0


def _is_balanced(config: Config) -> bool:
    return config.objective.balanced_strength() is not None


def _has_pools(config: Config) -> bool:
    return layers.stride(config.used_layers(), config.network.network) > 1


def _has_noise(config: Config) -> bool:
    return config.inputs.init in ("noise", "blend")


def _looks_ahead(config: Config) -> bool:
    moves = config.optimizer
    has_momentum = moves.optimizer in ("rmsprop", "sgd") and moves.momentum > 0
    return moves.optimizer == "adam" or has_momentum or not moves.nesterov


def _is_lossy(config: Config) -> bool:
    paths = (Path(config.output.output), Path(config.output.preview))
    forms = [encode.FORMATS.get(path.suffix.lower()) for path in paths]
    return "JPEG" in forms or "WEBP" in forms


# What a setting needs, and whether it is there. What acts always, or would be refused,
# has no row.
_NEEDS: dict[str, tuple[str, Acts]] = {
    "accumulator": ("--optimizer=adagrad", _by_optimizer("adagrad")),
    "antialias": (
        "a --filter other than nearest and area",
        lambda c: c.inputs.filter not in ("nearest", "area"),
    ),
    "average_decay": ("--keep=average", lambda c: c.solve.keep == "average"),
    "beta1": ("--optimizer=adam", _by_optimizer("adam")),
    "beta2": ("--optimizer=adam", _by_optimizer("adam")),
    "spread": ("--devices of more than one", lambda c: not c.spread.is_one()),
    "connect_timeout": (
        "--coordinator or --distributed",
        lambda c: c.spread.meets(),
    ),
    "checkpoint_every": ("--checkpoint", lambda c: bool(c.output.checkpoint)),
    "color_when": (
        "a --color by histogram or a linear map",
        lambda c: c.control.color not in ("none", "luminance"),
    ),
    "content_layers": ("a --content_weight above 0", _has_content),
    "content_loss": ("a --content_weight above 0", _has_content),
    "content_weight": (
        "--balance=none or a --laplacian_weight; --strength is what balances now",
        lambda c: not _is_balanced(c) or c.objective.laplacian_weight > 0,
    ),
    "decay": ("--optimizer=rmsprop", _by_optimizer("rmsprop")),
    "epsilon": (
        "--optimizer=adam, rmsprop or adagrad",
        _by_optimizer("adam", "rmsprop", "adagrad"),
    ),
    "epsilon_place": (
        "--optimizer=adam, rmsprop or adagrad",
        _by_optimizer("adam", "rmsprop", "adagrad"),
    ),
    "first_step": (
        "--optimizer=lbfgs with --line_search=none",
        lambda c: _by_optimizer("lbfgs")(c) and c.optimizer.line_search == "none",
    ),
    "gram_division": ("gram among --style_loss", _by_style_loss("gram")),
    "history": ("--optimizer=lbfgs", _by_optimizer("lbfgs")),
    "laplacian_pool": (
        "a --laplacian_weight above 0",
        lambda c: c.objective.laplacian_weight > 0,
    ),
    "line_search": ("--optimizer=lbfgs", _by_optimizer("lbfgs")),
    "linesearch_steps": (
        "--optimizer=lbfgs with --line_search=zoom",
        lambda c: _by_optimizer("lbfgs")(c) and c.optimizer.line_search == "zoom",
    ),
    "log_every": (
        "--metrics or --report",
        lambda c: bool(c.output.metrics or c.output.report),
    ),
    "longest_step": (
        "--optimizer=lbfgs with --line_search=none",
        lambda c: _by_optimizer("lbfgs")(c) and c.optimizer.line_search == "none",
    ),
    "momentum": ("--optimizer=rmsprop or sgd", _by_optimizer("rmsprop", "sgd")),
    "nesterov": ("--optimizer=adam, or rmsprop or sgd with --momentum", _looks_ahead),
    "noise": ("--init=noise or blend", _has_noise),
    "noise_amplitude": (
        "--init=noise or blend, and --noise=uniform or normal",
        lambda c: _has_noise(c) and c.inputs.noise != "style",
    ),
    "noise_ratio": ("--init=blend", lambda c: c.inputs.init == "blend"),
    "pool_rounding": ("a layer behind a pool", _has_pools),
    "pool_scale": ("a layer behind a pool", _has_pools),
    "pooling": ("a layer behind a pool", _has_pools),
    "preview_every": ("--preview", lambda c: bool(c.output.preview)),
    "protect": ("a --content_weight above 0", _has_content),
    "protect_weight": (
        "--protect",
        lambda c: bool(c.control.protect) and _has_content(c),
    ),
    "quality": ("a JPEG or WebP file as --output", _is_lossy),
    "region_weights": ("--content_mask", lambda c: bool(c.control.content_mask)),
    "root_steps": ("wasserstein among --style_loss", _by_style_loss("wasserstein")),
    "schedule_rate": (
        "--schedule=exponential or inverse_root",
        lambda c: c.optimizer.schedule in ("exponential", "inverse_root"),
    ),
    "schedule_steps": (
        "--schedule=exponential or cosine",
        lambda c: c.optimizer.schedule in ("exponential", "cosine"),
    ),
    "seed": (
        "--init=noise or blend; nothing else is random",
        lambda c: _has_noise(c) or c.network.weights == "random",
    ),
    "size_rule": ("a --size above 0", lambda c: c.inputs.size > 0),
    "style_layers": ("a --style_weight above 0", _has_style),
    "style_loss": ("a --style_weight above 0", _has_style),
    "style_reduction": (
        "gram or covariance among --style_loss",
        _by_style_loss("gram", "covariance"),
    ),
    "style_weight": (
        "--balance=none or a --tv_weight; --strength is what balances now",
        lambda c: not _is_balanced(c) or c.objective.tv_weight > 0,
    ),
    "style_weights": ("several --style pictures", lambda c: len(c.inputs.style) > 1),
    "tolerance_steps": ("a --tolerance above 0", lambda c: c.solve.tolerance > 0),
    "tv_loss": ("a --tv_weight above 0", lambda c: c.objective.tv_weight > 0),
    "tv_range": (
        "a --tv_weight or --laplacian_weight above 0",
        lambda c: c.objective.tv_weight > 0 or c.objective.laplacian_weight > 0,
    ),
    "weights_source": (
        "weights that may be fetched, without --offline",
        lambda c: not c.network.offline and c.network.weights != "random",
    ),
}
