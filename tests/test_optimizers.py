"""Optimisers: each lowers a loss, compiles once, and pairs value with gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import optimizers
from nst_jax.config import OptimizerConfig
from nst_jax.errors import RequestError

NAMES = ("lbfgs", "adam", "rmsprop", "adagrad", "sgd")
SHAPE = (5, 6, 3)
GOAL = jnp.asarray(np.random.default_rng(0).uniform(-0.4, 1.4, SHAPE), jnp.float32)
CURVATURE = jnp.asarray(np.geomspace(0.1, 10, 90).reshape(SHAPE), jnp.float32)


def loss(image):
    """A bowl, uneven, whose lowest point lies partly outside 0..1."""
    return jnp.sum(CURVATURE * (image - GOAL) ** 2) + jnp.sum((image - GOAL) ** 4)


def start():
    return jnp.full(SHAPE, 0.9, jnp.float32)


def trace(settings, steps):
    """Image and step record at each of `steps` updates, jitted."""
    optimizer = optimizers.make(settings)
    step = jax.jit(lambda image, state: optimizer.step(loss, image, state))
    image, state, seen = start(), optimizer.init(start()), []
    for _ in range(steps):
        now = step(image, state)
        seen.append((image, now))
        image, state = now.image, now.opt_state
    assert step._cache_size() == 1
    return seen


VARIANTS = [
    *({"optimizer": name} for name in NAMES),
    {"optimizer": "lbfgs", "line_search": "none"},
    {"optimizer": "adam", "epsilon_place": "raw"},
    {"optimizer": "adagrad", "epsilon_place": "root"},
]


@pytest.mark.parametrize("box", ["step", "end"])
@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: "-".join(s.values()))
def test_lowers_the_loss_compiles_once_and_reports_where_it_started(settings, box):
    seen = trace(OptimizerConfig(box=box, **settings), 12)
    values = [float(loss(image)) for image, _ in seen]
    assert values[-1] < 0.9 * values[0]
    for image, now in seen:
        # The value of the image the step began at: after a projection the line
        # search's own would belong to another point.
        assert float(now.value) == pytest.approx(float(loss(image)), rel=1e-5)
        norm = float(jnp.linalg.norm(jax.grad(loss)(image).ravel()))
        assert float(now.grad_norm) == pytest.approx(norm, rel=1e-4)
    inside = [bool(((now.image >= 0) & (now.image <= 1)).all()) for _, now in seen]
    assert all(inside) == (box == "step")


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: "-".join(s.values()))
def test_state_keeps_its_types_and_shares_no_buffer(settings):
    optimizer = optimizers.make(OptimizerConfig(**settings))
    fresh = optimizer.init(start())
    later = jax.eval_shape(lambda s: optimizer.step(loss, start(), s).opt_state, fresh)
    before, after = jax.tree.leaves(fresh), jax.tree.leaves(later)
    assert [(a.shape, a.dtype) for a in before] == [(a.shape, a.dtype) for a in after]
    assert not any(a.weak_type for a in before)
    pointers = [a.unsafe_buffer_pointer() for a in before]
    assert len(set(pointers)) == len(pointers)


def test_adam_is_kingma_and_ba_algorithm_1():
    settings = OptimizerConfig(
        optimizer="adam", learning_rate=0.03, beta1=0.8, beta2=0.95, epsilon=1e-3
    )
    rate, b1, b2, eps = 0.03, 0.8, 0.95, 1e-3
    x = np.asarray(start(), np.float64)
    m = v = np.zeros_like(x)
    goal, curvature = np.float64(GOAL), np.float64(CURVATURE)
    for t, (image, _) in enumerate(trace(settings, 6), start=1):
        np.testing.assert_allclose(image, x, atol=2e-6)
        g = 2 * curvature * (x - goal) + 4 * (x - goal) ** 3
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        x = x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        x = np.clip(x, 0, 1)


def follow(settings, rule, steps=6):
    """Compares a trace with `rule(t, x, g, memory) -> x`, computed in float64."""
    x, memory = np.asarray(start(), np.float64), {}
    goal, curvature = np.float64(GOAL), np.float64(CURVATURE)
    config = OptimizerConfig(learning_rate=0.03, box="none", **settings)
    for t, (image, _) in enumerate(trace(config, steps), start=1):
        np.testing.assert_allclose(image, x, rtol=2e-6, atol=2e-6)
        g = 2 * curvature * (x - goal) + 4 * (x - goal) ** 3
        x = rule(t, x, g, memory)


def test_rmsprop_is_hintons_with_epsilon_under_the_root():
    def rule(t, x, g, memory):
        v = memory["v"] = 0.7 * memory.get("v", 0) + 0.3 * g * g
        m = memory["m"] = 0.5 * memory.get("m", 0) + 0.03 * g / np.sqrt(v + 1e-2)
        return x - m

    settings = {"optimizer": "rmsprop", "decay": 0.7, "epsilon": 1e-2, "momentum": 0.5}
    follow(settings, rule)
    follow({**settings, "epsilon_place": "square"}, rule)


def test_adagrad_is_duchis_with_epsilon_under_the_root():
    def rule(t, x, g, memory):
        v = memory["v"] = memory.get("v", 0.3) + g * g
        return x - 0.03 * g / np.sqrt(v + 1e-2)

    follow({"optimizer": "adagrad", "accumulator": 0.3, "epsilon": 1e-2}, rule)


# What Adam divides by, from its raw squares, their correction 1 - b2^t, and epsilon.
PLACES = {
    "root": lambda v, c, eps: np.sqrt(v / c) + eps,
    "square": lambda v, c, eps: np.sqrt(v / c + eps),
    "raw": lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c),
}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_adams_epsilon_is_added_where_it_is_asked_for(place, nesterov):
    b1, b2, eps = 0.8, 0.95, 0.1

    def rule(t, x, g, memory):
        m = memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
        v = memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g * g
        mean = m / (1 - b1**t)
        if nesterov:
            mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return x - 0.03 * mean / PLACES[place](v, 1 - b2**t, eps)

    settings = {"beta1": b1, "beta2": b2, "epsilon": eps, "epsilon_place": place}
    follow({"optimizer": "adam", "nesterov": nesterov, **settings}, rule)


@pytest.mark.parametrize("place", ["root", "raw"])
@pytest.mark.parametrize("name", ["rmsprop", "adagrad"])
def test_without_a_bias_correction_raw_is_the_root(name, place):
    def rule(t, x, g, memory):
        old, new = (0.7, 0.3) if name == "rmsprop" else (1, 1)
        v = memory["v"] = old * memory.get("v", 0.0) + new * g * g
        return x - 0.03 * g / (np.sqrt(v) + 0.1)

    settings = {"decay": 0.7, "accumulator": 0.0, "epsilon": 0.1}
    follow({"optimizer": name, "epsilon_place": place, **settings}, rule)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_is_polyaks_or_nesterovs(nesterov):
    def rule(t, x, g, memory):
        m = memory["m"] = 0.6 * memory.get("m", 0) + g
        return x - 0.03 * (g + 0.6 * m if nesterov else m)

    follow({"optimizer": "sgd", "momentum": 0.6, "nesterov": nesterov}, rule)


def test_adam_with_nesterov_is_dozats():
    b1, b2 = 0.8, 0.95

    def rule(t, x, g, memory):
        m = memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
        v = memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g * g
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return x - 0.03 * ahead / (np.sqrt(v / (1 - b2**t)) + 1e-3)

    settings = {"beta1": b1, "beta2": b2, "epsilon": 1e-3, "nesterov": True}
    follow({"optimizer": "adam", **settings}, rule)


def test_a_line_search_takes_no_schedule():
    for wrong in ({"schedule": "cosine"}, {"warmup_steps": 3}):
        with pytest.raises(RequestError, match="not for --optimizer=lbfgs"):
            OptimizerConfig(optimizer="lbfgs", **wrong)


def test_lbfgs_beats_gradient_descent_on_a_long_valley():
    lbfgs = trace(OptimizerConfig(optimizer="lbfgs"), 25)[-1][1]
    sgd = trace(OptimizerConfig(optimizer="sgd", learning_rate=0.04, box="none"), 25)
    assert float(lbfgs.value) < 1e-3 * float(sgd[-1][1].value)


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({}, [0.5] * 5),
        (
            {"schedule": "exponential", "schedule_rate": 0.5, "schedule_steps": 2},
            [0.5 * 0.5 ** (t / 2) for t in range(5)],
        ),
        (
            {"schedule": "inverse_root", "schedule_rate": 0.05},
            [0.5 * (1 + 0.05 * t) ** -0.5 for t in range(5)],
        ),
        (
            {"schedule": "cosine", "schedule_steps": 4},
            [0.25 * (1 + np.cos(np.pi * t / 4)) for t in range(5)],
        ),
        ({"warmup_steps": 2}, [0.0, 0.25, 0.5, 0.5, 0.5]),
    ],
)
def test_schedules(settings, want):
    config = OptimizerConfig(optimizer="sgd", learning_rate=0.5, box="none", **settings)
    optimizer = optimizers.make(config)
    image, state, moved = jnp.zeros(SHAPE), optimizer.init(jnp.zeros(SHAPE)), []
    for _ in range(5):
        # With a gradient of one everywhere the image moves by the rate.
        now = optimizer.step(jnp.sum, image, state)
        moved.append(float((image - now.image)[0, 0, 0]))
        image, state = now.image, now.opt_state
    np.testing.assert_allclose(moved, want, atol=1e-6)


def test_box_and_rate_have_an_answer_for_auto():
    assert optimizers.box(OptimizerConfig(optimizer="lbfgs")) == "end"
    assert optimizers.box(OptimizerConfig(optimizer="sgd")) == "step"
    assert optimizers.box(OptimizerConfig(optimizer="sgd", box="none")) == "none"
    assert optimizers.learning_rate(OptimizerConfig(optimizer="adam")) == 0.02
    places = [
        optimizers.epsilon_place(OptimizerConfig(optimizer=n)) for n in NAMES[1:4]
    ]
    assert places == ["root", "square", "square"]
    given = OptimizerConfig(optimizer="adam", learning_rate=0.3)
    assert optimizers.learning_rate(given) == 0.3
