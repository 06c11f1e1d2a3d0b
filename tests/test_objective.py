"""The objective: formulas put together, weighted, and differentiated."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import losses, moments, objective, targets, vgg
from nst_jax.config import ObjectiveConfig

SETTINGS = ObjectiveConfig(
    content_weight=2.0,
    content_layers=("relu2_2:0.5", "conv2_1"),
    style_weight=3.0,
    style_layers=("relu1_1", "relu3_1:0.25"),
    gram_division="positions",
    tv_weight=0.5,
    tv_range=1.0,
)


@pytest.fixture(scope="module")
def pictures():
    generator = np.random.default_rng(1)
    return {
        name: jnp.asarray(generator.random(shape), jnp.float32)
        for name, shape in {
            "content": (21, 26, 3),
            "style": (19, 23, 3),
            "image": (21, 26, 3),
        }.items()
    }


def make(settings, params, preprocessing, pictures):
    how = objective.recipe(settings, vgg.Forward())
    constants = (params, preprocessing)
    kept = targets.content_targets(
        *constants, pictures["content"], how.content_layers, how.forward
    )
    style = targets.style_statistics(
        *constants,
        pictures["style"],
        {},
        how.style_layers,
        how.forward,
        how.gram_division,
        how.statistics,
    )
    goal = targets.Targets(
        kept | objective.edges(how, pictures["content"]),
        targets.style_targets(
            [style], dict.fromkeys(how.style_layers, jnp.ones((1, 1))), how.statistics
        ),
    )
    weights = dict.fromkeys(how.style_layers, jnp.ones(1))
    maps = objective.Maps({}, weights, {}, None)
    factors = objective.weights(settings, "vgg19")
    return how, objective.Problem(*constants, goal, factors, maps)


@pytest.fixture(scope="module")
def problem(small_params, unit_preprocessing, pictures):
    return make(SETTINGS, small_params, unit_preprocessing, pictures)


def test_terms_are_the_weighted_formulas(problem, pictures):
    how, arrays = problem
    terms = jax.jit(objective.terms, static_argnums=0)(how, arrays, pictures["image"])
    names = ("relu2_2", "conv2_1", "relu1_1", "relu3_1")
    x, c, s = (
        vgg.features(
            arrays.params, arrays.preprocessing, pictures[p], names, how.forward
        )
        for p in ("image", "content", "style")
    )
    for name, weight in {"relu2_2": 1.0, "conv2_1": 2.0}.items():
        want = weight * np.mean((np.float64(x[name]) - np.float64(c[name])) ** 2)
        assert float(terms.content[name]) == pytest.approx(want, rel=1e-5)
    for name, weight in {"relu1_1": 3.0, "relu3_1": 0.75}.items():
        grams = [
            np.einsum("hwc,hwd->cd", f, f) / (f.shape[0] * f.shape[1])
            for f in (np.float64(x[name]), np.float64(s[name]))
        ]
        want = weight * np.mean((grams[0] - grams[1]) ** 2)
        assert float(terms.style[name]) == pytest.approx(want, rel=1e-5)
    sums = losses.variations(pictures["image"], "mean_squared")
    variation = losses.total_variation(sums, (21, 26, 3), "mean_squared")
    assert float(terms.tv) == pytest.approx(0.5 * float(variation), rel=1e-6)
    parts = [*terms.content.values(), *terms.style.values(), terms.tv]
    assert float(terms.total) == pytest.approx(sum(map(float, parts)), rel=1e-6)


def test_gradient_by_the_image_is_the_slope_of_the_total(problem, pictures):
    how, arrays = problem
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else x64():
        wide = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float64), arrays)
        image = jnp.asarray(np.asarray(pictures["image"]), jnp.float64)

        def total(image):
            return objective.terms(how, wide, image).total

        slope = jax.jit(jax.grad(total))(image)
        measure = jax.jit(total)
        generator = np.random.default_rng(2)
        for _ in range(4):
            direction = jnp.asarray(generator.normal(size=image.shape))
            step = 1e-6
            ahead, behind = (measure(image + t * direction) for t in (step, -step))
            want = float(ahead - behind) / (2 * step)
            assert float(jnp.vdot(slope, direction)) == pytest.approx(want, rel=1e-4)


def x64():
    from jax.experimental import enable_x64

    return enable_x64()


def test_what_has_no_weight_is_not_computed(small_params, unit_preprocessing, pictures):
    settings = dataclasses.replace(
        SETTINGS,
        style_weight=0.0,
        content_layers=("relu1_1", "relu5_4:0"),
        tv_weight=0.0,
    )
    # relu5_4 would need weights that are not there.
    how, arrays = make(settings, small_params, unit_preprocessing, pictures)
    assert how.content_layers == ("relu1_1",)
    assert how.style_layers == ()
    terms = objective.terms(how, arrays, pictures["image"])
    assert set(terms.style) == {"relu1_1", "relu3_1"}
    assert float(terms.content["relu5_4"]) == 0
    assert all(float(value) == 0 for value in terms.style.values())
    assert float(terms.total) == float(terms.content["relu1_1"]) > 0


def test_sums_of_two_halves_finish_to_the_whole(problem, pictures):
    how, arrays = problem
    whole = objective.parts(how, arrays, pictures["image"])
    found = vgg.features(
        arrays.params,
        arrays.preprocessing,
        pictures["image"],
        how.style_layers,
        how.forward,
    )
    style = {
        name: jax.tree.map(jnp.add, moments.moments(f[:3]), moments.moments(f[3:]))
        for name, f in found.items()
    }
    shape = (21, 26, 3)
    once = objective.finish(how, arrays, whole, shape)
    twice = objective.finish(how, arrays, whole._replace(style=style), shape)
    for name in how.style_layers:
        assert float(twice.style[name]) == pytest.approx(
            float(once.style[name]), rel=1e-5
        )


def test_zero_at_the_target(small_params, unit_preprocessing, pictures):
    settings = dataclasses.replace(SETTINGS, tv_weight=0.0)
    same = dict.fromkeys(("content", "style", "image"), pictures["content"])
    how, arrays = make(settings, small_params, unit_preprocessing, same)
    terms = objective.terms(how, arrays, same["image"])
    assert float(terms.total) == 0


@pytest.mark.parametrize(
    ("form", "power"),
    [("absolute", 1), ("squared", 2), ("nine_point", 2), ("power", 2.5)],
)
def test_the_range_of_the_variation_scales_it_and_leaves_flat_areas_alone(
    problem, pictures, form, power
):
    def variation(tv_range):
        how = problem[0]._replace(tv_loss=form, tv_range=tv_range)

        def tv(image):
            return objective.terms(how, problem[1], image).tv

        return jax.jit(jax.value_and_grad(tv))

    ratio = (
        variation(255.0)(pictures["image"])[0] / variation(1.0)(pictures["image"])[0]
    )
    assert float(ratio) == pytest.approx(255.0**power, rel=1e-4)
    value, slope = variation(255.0)(jnp.full((21, 26, 3), 0.3, jnp.float32))
    assert float(value) == 0
    assert float(jnp.abs(slope).max()) == 0


def test_weights_are_arguments_not_code(problem, pictures):
    how, arrays = problem
    compiled = jax.jit(objective.terms, static_argnums=0)
    once = compiled(how, arrays, pictures["image"])
    before = compiled._cache_size()
    doubled = arrays._replace(weights=jax.tree.map(lambda w: 2 * w, arrays.weights))
    twice = compiled(how, doubled, pictures["image"])
    assert float(twice.total) == pytest.approx(2 * float(once.total), rel=1e-6)
    assert compiled._cache_size() == before


def test_styles_mix_linearly_in_their_moments():
    """The Gram matrix and covariance of a mixture of two sets of features."""
    generator = np.random.default_rng(4)
    sets = [generator.normal(size=(5, 6, 4)) + shift for shift in (0.0, 3.0)]
    found = []
    for features in (jnp.asarray(each, jnp.float32) for each in sets):
        raw = moments.moments(features)
        about = moments.moments(features, None, moments.mean(raw))
        found.append({"relu1_1": targets.described(raw, about, "positions")})
    shares = {"relu1_1": jnp.asarray([[0.75], [0.25]])}
    mixed = targets.style_targets(found, shares, ("gram", "wasserstein"))["relu1_1"]
    rows = [f.reshape(-1, 4) for f in sets]
    gram = sum(w * r.T @ r / 30 for w, r in zip((0.75, 0.25), rows, strict=True))
    mean = sum(w * r.mean(0) for w, r in zip((0.75, 0.25), rows, strict=True))
    np.testing.assert_allclose(mixed.gram[0], gram, rtol=1e-5)
    np.testing.assert_allclose(mixed.mean[0], mean, rtol=1e-5)
    np.testing.assert_allclose(
        mixed.covariance[0], gram - np.outer(mean, mean), rtol=1e-4, atol=1e-5
    )
    squared = mixed.root[0] @ mixed.root[0]
    np.testing.assert_allclose(
        squared, mixed.covariance[0] + 1e-4 * np.eye(4), rtol=1e-4, atol=1e-5
    )
