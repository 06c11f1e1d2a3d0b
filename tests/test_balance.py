"""The balance: measured on the pictures, moved by one strength, compiled once."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import balance, prepare, transfer
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import (
    Config,
    ControlConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SolveConfig,
)
from nst_jax.errors import RequestError
from nst_jax.pictures import Pictures

STYLE = ("relu1_1", "relu2_1")
GOAL = ObjectiveConfig(
    content_layers=("relu2_1:2", "relu2_2"),
    style_layers=("relu1_1:3", "relu2_1"),
    gram_division="positions",
    tv_weight=0.01,
    tv_range=1.0,
    balance="range",
)
CONFIG = Config(
    network=NetworkConfig(pooling="max", padding="zero"),
    objective=GOAL,
    optimizer=OptimizerConfig(optimizer="adam", epsilon=1e-20),
    solve=SolveConfig(steps=12),
)


@pytest.fixture(scope="module")
def network(small_params, unit_preprocessing):
    return Weights("vgg19", small_params, unit_preprocessing, "random", "", "")


@pytest.fixture(scope="module")
def pictures():
    generator = np.random.default_rng(5)
    content, style = (generator.random((18, 20, 3), np.float32) for _ in range(2))
    # Wide bands, and a painting that is dark and fine.
    content[:, :10] *= 0.5
    return Pictures(content, (style**3,))


def asked(**goal):
    return dataclasses.replace(CONFIG, objective=dataclasses.replace(GOAL, **goal))


def problem_of(pictures, network, config):
    """What the first step is given: the problem, and the terms of it."""
    how, plain = prepare.problem(pictures, network, config)
    terms = transfer.solver(how, config.optimizer, "last", 0.9).terms
    noise = balance.disorder(
        pictures.styles, np.ones(len(pictures.styles)), pictures.content.shape[:2]
    )
    there, here = jnp.asarray(noise), jnp.asarray(pictures.content)
    strength = config.objective.balanced_strength()
    found = balance.balanced(terms, plain, here, there, strength)
    return plain, found, terms(found, there).content, terms(found, here).style


def total(terms):
    return float(sum(terms.values()))


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_terms_are_shares_of_their_range(pictures, network, strength):
    whole = problem_of(pictures, network, asked(strength=0.5))
    lost = total(whole[2])
    assert total(whole[3]) == pytest.approx(lost, rel=1e-5)
    _, _, content, style = problem_of(pictures, network, asked(strength=strength))
    keep, paint = balance.shares(strength)
    assert total(content) == pytest.approx(2 * keep * lost, rel=1e-5)
    assert total(style) == pytest.approx(2 * paint * lost, rel=1e-5)


def test_the_content_keeps_its_weights_at_half_strength(pictures, network):
    plain, found, _, _ = problem_of(pictures, network, CONFIG)
    assert found.weights.content == plain.weights.content
    # One factor for the style's layers and the total variation: what the user said
    # of their proportions stays.
    factors = [
        *(found.weights.style[name] / plain.weights.style[name] for name in STYLE),
        found.weights.tv / plain.weights.tv,
    ]
    np.testing.assert_allclose(factors, factors[0], rtol=1e-6)
    assert abs(float(factors[0]) - 1) > 0.1


def test_the_scale_of_the_weights_does_not_matter(pictures, network):
    """Nothing is left to tune: style and content weights cancel."""
    result = transfer.stylize(pictures.content, pictures.styles, network, CONFIG)
    # Powers of two, and no epsilon: Adam's first steps enlarge any rounding.
    other = asked(
        content_weight=8.0, style_weight=30 / 1024, tv_weight=GOAL.tv_weight / 1024
    )
    again = transfer.stylize(pictures.content, pictures.styles, network, other)
    np.testing.assert_allclose(result.image, again.image, atol=1e-4)
    fixed = transfer.stylize(
        pictures.content, pictures.styles, network, asked(balance="none", strength=-1.0)
    )
    assert np.abs(result.image - fixed.image).max() > 0.02


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize(("optimizer", "steps"), [("adam", 60), ("lbfgs", 30)])
def test_more_strength_is_more_style_and_compiles_nothing(
    pictures, network, optimizer, steps
):
    how, plain = prepare.problem(pictures, network, CONFIG)
    settings = OptimizerConfig(optimizer=optimizer)
    loop = transfer.solver(how, settings, "last", CONFIG.solve.average_decay)
    style, content, sizes = [], [], set()
    for strength in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        config = dataclasses.replace(
            asked(strength=strength),
            optimizer=settings,
            solve=SolveConfig(steps=steps),
        )
        found = transfer.stylize(pictures.content, pictures.styles, network, config)
        assert found.is_finite
        if not strength:
            np.testing.assert_allclose(found.image, pictures.content, atol=1e-6)
        terms = loop.terms(plain, jnp.asarray(found.image))
        style.append(total(terms.style))
        content.append(total(terms.content))
        sizes.add((loop.chunk._cache_size(), loop.terms._cache_size()))
    assert (np.diff(style) < 0).all()
    assert (np.diff(content) > 0).all()
    assert len(sizes) == 1


@pytest.mark.parametrize(
    "goal",
    [
        {"style_loss": ("gram:2", "mean_std")},
        {"style_loss": ("wasserstein",)},
        {"content_loss": "scaled", "style_reduction": "scaled"},
        {"laplacian_weight": 1.0},
    ],
)
def test_any_loss_can_be_balanced(pictures, network, goal):
    config = asked(strength=0.3, **goal)
    _, _, content, style = problem_of(pictures, network, config)
    keep, paint = balance.shares(0.3)
    assert total(style) / total(content) == pytest.approx(paint / keep, rel=1e-4)


def test_masks_and_several_styles(pictures, network):
    left = np.zeros((18, 20), np.float32)
    left[:, :10] = 1
    regions = np.stack([left, 1 - left], axis=2)
    config = dataclasses.replace(
        asked(strength=0.7, style_weights=(3.0, 1.0)),
        control=ControlConfig(region_weights=(1.0, 0.0)),
    )
    bright = pictures.styles[0] ** 0.2
    result = transfer.stylize(
        pictures.content,
        [*pictures.styles, bright],
        network,
        config,
        regions=regions,
        style_regions=[regions, regions],
    )
    assert result.is_finite
    moved = np.abs(result.image - pictures.content).max(axis=(0, 2))
    assert moved[:10].min() > 0.01
    assert moved[10:].max() == 0


def test_each_scale_is_measured_by_itself(pictures, network):
    config = dataclasses.replace(CONFIG, solve=SolveConfig(steps=3, scales="16"))
    result = transfer.stylize(pictures.content, pictures.styles, network, config)
    assert result.is_finite
    assert result.image.shape == pictures.content.shape


def test_pictures_without_a_range_keep_their_weights(pictures, network):
    """The same picture twice: nothing to divide by."""
    content = pictures.content
    config = asked(strength=0.5)
    result = transfer.stylize(content, content, network, config)
    assert result.is_finite
    # Rounding leaves a little style missing, which is none.
    pair = Pictures(content, (content,))
    plain, found, _, missing = problem_of(pair, network, config)
    assert found.weights == plain.weights
    assert total(missing) < 1e-9


def test_disorder_holds_the_styles_colours_by_their_shares():
    red, blue = (np.zeros((9, 7, 3), np.float32) for _ in range(2))
    red[..., 0], blue[..., 2] = 1.0, 1.0
    blue[0] = 0.5  # a ninth of it
    found = balance.disorder((red, blue), np.array([3.0, 1.0]), (60, 50))
    assert found.shape == (60, 50, 3)
    of_red = (found == red[0, 0]).all(axis=2)
    of_grey = (found == 0.5).all(axis=2)
    assert of_red.mean() == pytest.approx(0.75, abs=0.03)
    assert of_grey.mean() == pytest.approx(0.25 / 9, abs=0.015)
    # No scene: neighbours are as unlike as any two pixels.
    alike = (of_red[1:] == of_red[:-1]).mean()
    assert alike == pytest.approx(0.75**2 + 0.25**2, abs=0.04)
    again = balance.disorder((red, blue), np.array([3.0, 1.0]), (60, 50))
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"content_weight": 0.0}, "content_weight must be above 0 to be balanced"),
        ({"style_weight": 0.0}, "style_weight must be above 0 to be balanced"),
        ({"balance": "none", "strength": 0.7}, "--strength needs --balance=range"),
        ({"strength": 1.5}, "strength must be -1 to 1"),
    ],
)
def test_wrong_requests(goal, message):
    with pytest.raises(RequestError, match=message) as raised:
        asked(**goal)
    assert "\n" not in str(raised.value)


def test_nothing_changes_without_it(pictures, network):
    """The default leaves every weight as the user wrote it."""
    assert ObjectiveConfig().balanced_strength() is None
    config = asked(balance="none", strength=-1.0)
    steps = transfer.steps(
        lambda shape: pictures,
        [(18, 20)],
        network,
        config,
        pace=lambda step: 1,
        log_every=1,
    )
    _, plain = prepare.problem(pictures, network, config)
    how, _ = prepare.problem(pictures, network, config)
    terms = transfer.solver(how, config.optimizer, "last", 0.99).terms
    want = terms(plain, jnp.asarray(pictures.content))
    found = next(steps).terms
    assert isinstance(found, LossTerms)
    assert float(found.total) == pytest.approx(float(want.total), rel=1e-6)
