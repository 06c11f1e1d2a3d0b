"""Sums and gradients window by window are those of the whole."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import devices, objective, prepare, tiles, vgg
from nst_jax.arrays import Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    MemoryConfig,
    NetworkConfig,
    ObjectiveConfig,
)
from nst_jax.pictures import Pictures

# Pool 2 comes before the deepest layer, so that there are positions of three strides.
SETTINGS = ObjectiveConfig(
    content_layers=("relu2_2", "pool1:0.3"),
    style_layers=("relu1_1", "relu2_1", "relu3_1"),
    tv_range=1.0,
    tv_weight=0.5,
)


def changed(**settings):
    return dataclasses.replace(SETTINGS, **settings)


@pytest.fixture(scope="module")
def small(small_params, unit_preprocessing):
    return Weights("vgg19", small_params, unit_preprocessing, "random", "", "")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def compared(small, config, pictures, cuts):
    """Total and gradient of the whole, and by windows, at another image."""
    whole = dataclasses.replace(config, memory=MemoryConfig(tile="none"))
    how, problem = prepare.problem(pictures, small, whole)
    shape = pictures.content.shape[:2]
    names = tuple({*how.content_layers, *how.style_layers})
    forward = how.forward
    plan = tiles.plan(shape, names, "vgg19", cuts, forward.pool_rounding, forward.wrap)
    assert any(stage.number > 1 for stage in plan)
    image = jnp.asarray(noise(*shape, 3, seed=9))

    def at(how):
        def total(image):
            return objective.terms(how, problem, image).total

        # As a run compiles it; jax 0.10.1 without the option was seen to hang with
        # windows, regions and exact roots.
        options = dict(devices.thrift())
        return jax.jit(jax.value_and_grad(total), compiler_options=options)(image)

    return at(how), at(how._replace(plan=plan))


def check(found, bound=1e-5):
    (value, slope), (by_windows, its_slope) = found
    assert float(by_windows) == pytest.approx(float(value), rel=bound)
    apart = float(jnp.linalg.norm(its_slope - slope))
    assert apart <= bound * float(jnp.linalg.norm(slope))


IMAGE = (("", (2, 2)),)
STRIPS = (("", (3, 1)),)
# For what is slow to compile at deeper layers.
SHALLOW = ("relu1_1", "relu2_1:0.5")
STAGES = (("", (2, 1)), ("pool1", (1, 3)), ("pool2", (2, 2)))


@pytest.mark.parametrize(
    ("shape", "network", "cuts"),
    [
        ((83, 97), {"pooling": "max", "padding": "zero"}, IMAGE),
        ((90, 86), {"pooling": "avg", "padding": "replicate"}, STRIPS),
        ((79, 89), {"padding": "zero", "pool_rounding": "ceil"}, IMAGE),
        ((87, 93), {"pooling": "avg", "pool_rounding": "same"}, STAGES),
    ],
)
def test_windows_at_odd_sizes_and_borders(small, shape, network, cuts):
    config = Config(network=NetworkConfig(**network), objective=SETTINGS)
    pictures = Pictures(noise(*shape, 3), (noise(40, 44, 3, seed=1),))
    check(compared(small, config, pictures, cuts))


@pytest.mark.parametrize(
    ("wrap", "cuts"), [("xy", IMAGE), ("y", STAGES), ("xy", STAGES)]
)
def test_windows_that_go_round(small, wrap, cuts):
    config = Config(control=ControlConfig(wrap=wrap), objective=SETTINGS)
    pictures = Pictures(noise(96, 88, 3), (noise(40, 44, 3, seed=1),))
    check(compared(small, config, pictures, cuts))


@pytest.mark.parametrize(
    "settings",
    [
        {"content_loss": "scaled", "tv_loss": "absolute", "style_reduction": "scaled"},
        {"content_loss": "root", "tv_loss": "nine_point", "gram_division": "none"},
        {"content_loss": "sum", "tv_loss": "power", "laplacian_weight": 2.0},
        {"tv_loss": "padded_squared", "style_loss": ("wasserstein",)},
        {"tv_loss": "squared", "style_loss": ("gram:2", "covariance", "mean_std:0.5")},
        {"style_reduction": "image", "gram_division": "positions"},
        {"style_reduction": "sum", "content_weight": 0.0},
        {"content_loss": "half_sum", "style_weight": 0.0},
    ],
    ids=lambda settings: " ".join(map(str, itertools.chain(*settings.items()))),
)
def test_every_loss(small, settings):
    config = Config(objective=changed(style_layers=SHALLOW, **settings))
    pictures = Pictures(noise(51, 61, 3), (noise(40, 44, 3, seed=1),))
    check(compared(small, config, pictures, IMAGE))


@pytest.mark.parametrize("wrap", ["none", "x"])
def test_regions_several_styles_protection_and_fill(small, wrap):
    shape = (84, 92) if wrap != "none" else (67, 71)
    share = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :].repeat(shape[0], 0)
    regions = np.stack([share, 1 - share], 2)
    of_styles = tuple(noise(40, 44, 2, seed=seed) for seed in (5, 6))
    config = Config(
        control=ControlConfig(wrap=wrap, region_weights=(1.0, 0.4)),
        objective=changed(
            style_loss=("gram", "wasserstein"),
            style_weights=(0.7, 0.3),
            style_layers=("relu1_1:1/0.2", "relu2_1:0/1"),
        ),
    )
    pictures = Pictures(
        noise(*shape, 3),
        (noise(40, 44, 3, seed=1), noise(40, 44, 3, seed=2)),
        regions=regions,
        style_regions=of_styles,
        protect=noise(*shape, seed=3),
        fill=noise(*shape, seed=4),
    )
    check(compared(small, config, pictures, IMAGE if wrap == "x" else STAGES[:2]))


def test_targets_window_by_window(small):
    """Styles and content larger than memory have the same statistics and features."""
    config = Config(objective=changed(style_loss=("gram", "wasserstein")))
    pictures = Pictures(noise(83, 97, 3), (noise(95, 71, 3, seed=1),))
    problems = []
    for tile in ("none", "24"):
        memory = MemoryConfig(tile=tile)
        how, problem = prepare.problem(
            pictures, small, dataclasses.replace(config, memory=memory)
        )
        # Roots of nearly singular matrices are not as near as these are.
        bare = {n: s._replace(root=None) for n, s in problem.targets.style.items()}
        problems.append(problem.targets._replace(style=bare))
        assert (how.plan == ()) == (tile == "none")
    for whole, by_windows in zip(*map(jax.tree.leaves, problems), strict=True):
        scale = float(jnp.abs(whole).max())
        np.testing.assert_allclose(by_windows, whole, rtol=0, atol=1e-5 * scale)


def test_winograds_products_by_windows(small, monkeypatch):
    """Which kernels are spread follows from the window; the sums stay the same."""
    config = Config(network=NetworkConfig(convolution="winograd"), objective=SETTINGS)
    config = dataclasses.replace(config, memory=MemoryConfig(tile="none"))
    pictures = Pictures(noise(200, 180, 3), (noise(40, 44, 3, seed=1),))
    how, problem = prepare.problem(pictures, small, config)
    names = (*how.content_layers, *how.style_layers)
    plan = tiles.plan((200, 180), names, "vgg19", IMAGE)
    image = jnp.asarray(noise(200, 180, 3, seed=9))
    found = []
    for each in (how, how._replace(plan=plan)):
        ready = prepare.ready(problem, each, 200 * 180)
        spread = {name for name, held in ready.params.items() if "spread" in held}

        def total(image, each=each, ready=ready):
            return objective.terms(each, ready, image).total

        found.append(jax.jit(jax.value_and_grad(total))(image))
        assert "conv1_2" in spread
    # Values that are all but zero fall to the other side of a ReLU.
    check(found, 1e-3)
    assert float(found[0][0]) == pytest.approx(float(found[1][0]), rel=1e-5)


def test_the_halo_is_all_that_the_layers_look_at():
    """A pixel one beyond the window's reach changes nothing that it owns."""
    names = ("relu3_1",)
    unit, halo = tiles.grain("vgg19", "", names)
    (stage,) = tiles.plan((120, 120), names, "vgg19", (("", (2, 2)),))
    assert stage.rows.starts[1] == stage.rows.edges[1] - halo
    assert stage.rows.window % unit == 120 % unit
    # One unit less of it, and the gradient is another.
    reach = max(row.reach for row in vgg.layers.up_to(names, "vgg19"))
    assert reach <= halo < reach + unit


@pytest.mark.parametrize("wraps", [False, True])
def test_every_position_is_owned_once_and_seen_well(wraps):
    for length in range(1, 90):
        for count, unit, halo in itertools.product((1, 2, 3, 5), (1, 4), (4, 8)):
            if wraps and length % unit:
                continue
            axis = tiles.axis(length, count, unit, halo, wraps=wraps)
            assert axis.edges[0] == 0
            assert axis.edges[-1] == length
            assert axis.number <= count
            for start, (low, high) in zip(
                axis.starts, itertools.pairwise(axis.edges), strict=True
            ):
                assert low < high
                assert start % unit == 0
                assert low % unit == 0
                end = start + axis.window
                if axis.number > 1:
                    assert start >= -axis.margin
                    assert end <= length + axis.margin
                if axis.number > 1:
                    at_start = not wraps and start == 0
                    at_end = not wraps and end == length
                    assert at_start or low - start >= halo
                    assert at_end or end - high >= halo


def test_a_gradient_by_the_network_is_refused_and_not_zero(small):
    config = Config(objective=SETTINGS, memory=MemoryConfig(tile="24"))
    pictures = Pictures(noise(83, 97, 3), (noise(40, 44, 3, seed=1),))
    how, problem = prepare.problem(pictures, small, config)

    def total(params):
        changed = problem._replace(params=params)
        return objective.terms(how, changed, jnp.asarray(pictures.content)).total

    with pytest.raises(TypeError, match="by the picture only"):
        jax.grad(total)(problem.params)
