"""Carrying image and optimiser state from one scale to the next."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax import optimizers, pyramid
from nst_jax.config import OptimizerConfig

OLD, NEW = (8, 11), (12, 15)
RNG = np.random.default_rng(0)
IMAGE = RNG.uniform(0, 1, (*OLD, 3)).astype(np.float32)
FILTERS = ["bicubic", "bilinear", "lanczos"]
STATEFUL = [
    {"optimizer": "adam"},
    {"optimizer": "adam", "epsilon_place": "raw", "schedule": "cosine"},
    {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "momentum": 0.9},
    {"optimizer": "adagrad"},
    {"optimizer": "adagrad", "epsilon_place": "root"},
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
]


def loss(image):
    """A bowl whose shape does not depend on the resolution."""
    rows, columns = (jnp.linspace(-1, 1, n) for n in image.shape[:2])
    goal = 0.5 + 0.3 * jnp.sin(3 * rows)[:, None, None] * columns[None, :, None]
    return jnp.mean((1 + rows[:, None, None] ** 2) * (image - goal) ** 2)


def moved(settings, steps, shape=OLD):
    optimizer = optimizers.make(OptimizerConfig(**settings))
    step = jax.jit(lambda image, state: optimizer.step(loss, image, state))
    image = jnp.full((*shape, 3), 0.9)
    state = optimizer.init(image)
    for _ in range(steps):
        now = step(image, state)
        image, state = now.image, now.opt_state
    return optimizer, image, state


def images_in(state):
    """What of a state has the shape of an image, by the name of its field."""
    named = jax.tree_util.tree_leaves_with_path(state)
    return {path[-1].name: leaf for path, leaf in named if leaf.shape}


def test_shapes_keep_the_aspect_and_leave_out_what_is_too_small():
    final = (362, 512)
    found = pyramid.shapes(final, (20, 128, 256, 512), 16)
    assert found == ((90, 128), (181, 256), (362, 512))
    assert pyramid.shapes((512, 362), (20, 128, 512), 12) == (
        (20, 14),
        (128, 90),
        (512, 362),
    )
    # The last is the result's own, even where it is small.
    assert pyramid.shapes((10, 10), (10,), 16) == ((10, 10),)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_constant_image_and_its_shape_are_kept(filter):
    for wrap in ("none", "xy"):
        flat = jnp.full((*OLD, 3), 0.3)
        carried = pyramid.carry(flat, (17, 31), filter, wrap)
        assert carried.shape == (17, 31, 3)
        assert carried.dtype == jnp.float32
        np.testing.assert_allclose(carried, 0.3, rtol=1e-6)
    same = pyramid.carry(jnp.asarray(IMAGE), OLD, filter)
    np.testing.assert_array_equal(same, IMAGE)


@pytest.mark.parametrize(
    ("filter", "tolerance"), [("bicubic", 0.01), ("bilinear", 1e-6), ("lanczos", 0.01)]
)
def test_a_ramp_stays_a_ramp_and_nothing_shifts(filter, tolerance):
    """At pixel centres: a half-pixel shift would be 0.5 / 20 off."""

    def ramp(shape):
        x = (np.arange(shape[1]) + 0.5) / shape[1]
        y = (np.arange(shape[0]) + 0.5) / shape[0]
        return np.stack([x + 0 * y[:, None], 0 * x + y[:, None], x + y[:, None]], -1)

    old, new = (20, 24), (31, 48)
    found = pyramid.carry(jnp.asarray(ramp(old), jnp.float32), new, filter)
    inner = np.s_[6:-6, 7:-7]  # at the border a ramp does not go on
    np.testing.assert_allclose(found[inner], ramp(new)[inner], atol=tolerance)


def test_lanczos_and_bilinear_are_pillows_away_from_the_border():
    plane = RNG.uniform(0, 1, (20, 24)).astype(np.float32)
    image = jnp.asarray(np.stack([plane] * 3, -1))
    for filter in ("lanczos", "bilinear"):
        how = getattr(Image.Resampling, filter.upper())
        want = np.asarray(Image.fromarray(plane).resize((37, 33), how))
        found = np.asarray(pyramid.carry(image, (33, 37), filter))[..., 0]
        np.testing.assert_allclose(found[6:-6, 6:-6], want[6:-6, 6:-6], atol=1e-6)


def test_bicubic_is_torchs():
    torch = pytest.importorskip("torch")
    source = torch.tensor(IMAGE.transpose(2, 0, 1)[None])
    for filter, shape in itertools.product(FILTERS[:2], [NEW, (16, 22), (9, 11)]):
        want = torch.nn.functional.interpolate(source, size=shape, mode=filter)
        found = pyramid.carry(jnp.asarray(IMAGE), shape, filter)
        np.testing.assert_allclose(found, want.numpy()[0].transpose(1, 2, 0), atol=2e-6)


def test_bicubic_halves_have_torchs_weights():
    # a = -0.75 at the distances 1.25, 0.25, 0.75 and 1.75: Keys' formula.
    weights = np.array([-0.10546875, 0.87890625, 0.26171875, -0.03515625])
    image = jnp.asarray(IMAGE)
    found = pyramid.carry(image, (2 * OLD[0], OLD[1]), "bicubic")
    want = np.tensordot(weights, IMAGE[1:5], 1)
    np.testing.assert_allclose(found[5], want, atol=1e-6)
    # Beyond the border its outermost row comes once more.
    border = np.tensordot(weights[::-1], IMAGE[[0, 0, 0, 1]], 1)
    np.testing.assert_allclose(found[0], border, atol=1e-6)


@pytest.mark.parametrize("wrap", ["x", "y", "xy"])
@pytest.mark.parametrize("filter", FILTERS)
def test_an_image_that_wraps_is_enlarged_as_one_of_many(filter, wrap):
    times = (3 if "y" in wrap else 1, 3 if "x" in wrap else 1, 1)
    many = pyramid.carry(
        jnp.asarray(np.tile(IMAGE, times)),
        (NEW[0] * times[0], NEW[1] * times[1]),
        filter,
    )
    rows, columns = (n * (count > 1) for n, count in zip(NEW, times[:2], strict=True))
    one = many[rows : rows + NEW[0], columns : columns + NEW[1]]
    found = pyramid.carry(jnp.asarray(IMAGE), NEW, filter, wrap)
    np.testing.assert_allclose(found, one, atol=2e-6)


@pytest.mark.parametrize("settings", STATEFUL, ids=lambda s: str(list(s.values())))
def test_a_carried_state_is_like_a_fresh_one_and_shares_no_buffer(settings):
    optimizer, _, state = moved(settings, 3)
    carried = pyramid.carry_state(state, OLD, NEW)
    fresh = optimizer.init(jnp.zeros((*NEW, 3)))
    assert jax.tree.structure(carried) == jax.tree.structure(fresh)
    pairs = list(zip(jax.tree.leaves(carried), jax.tree.leaves(fresh), strict=True))
    for found, want in pairs:
        assert (found.shape, found.dtype) == (want.shape, want.dtype)
        assert found.weak_type == want.weak_type is False
    mine = {a.unsafe_buffer_pointer() for a, _ in pairs}
    assert len(mine) == len(pairs)
    assert not mine & {a.unsafe_buffer_pointer() for a in jax.tree.leaves(state)}


@pytest.mark.parametrize("settings", STATEFUL[:6], ids=lambda s: str(list(s.values())))
def test_squares_are_enlarged_without_overshoot(settings):
    """One strong pixel: bicubic enlarging would ring below zero about it."""
    optimizer = optimizers.make(OptimizerConfig(**settings))
    weight = jnp.zeros((*OLD, 3)).at[4, 5].set(100.0)
    image = jnp.full((*OLD, 3), 0.5)
    state = optimizer.init(image)
    state = optimizer.step(lambda x: jnp.sum(weight * x), image, state).opt_state
    carried = pyramid.carry_state(state, OLD, NEW)
    before, after = images_in(state), images_in(carried)
    name = "nu" if "nu" in before else "sum_of_squares"
    squares = pyramid.carry(before[name], NEW, "bilinear")
    assert squares.max() > 10
    np.testing.assert_array_equal(after[name], squares)
    assert after[name].min() >= 0
    if "mu" in after:
        assert after["mu"].min() < 0


@pytest.mark.parametrize("line_search", ["zoom", "none"])
@pytest.mark.parametrize("history", [1, 8])
def test_lbfgs_starts_afresh(line_search, history):
    settings = {"line_search": line_search, "history": history}
    state = optimizers.make(OptimizerConfig(**settings)).init(jnp.asarray(IMAGE))
    assert pyramid.carry_state(state, OLD, NEW) is None


def test_adam_goes_on_with_steps_as_long_as_before():
    settings = {"optimizer": "adam", "box": "none", "learning_rate": 0.01}
    # By now the steps are half as long as a fresh state's.
    optimizer, image, state = moved(settings, 40)
    move = jax.jit(lambda x, state: optimizer.step(loss, x, state).image - x)
    want = pyramid.carry(move(image, state), NEW, "bicubic")
    large = pyramid.carry(image, NEW, "bicubic")
    after = move(large, pyramid.carry_state(state, OLD, NEW))
    fresh = move(large, optimizer.init(large))

    def error(moves):
        return float(jnp.abs(moves - want).mean() / jnp.abs(want).mean())

    assert error(after) < 0.1
    assert error(fresh) > 1
