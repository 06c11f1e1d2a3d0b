"""The loop: chunks, rows, donation, and what happens when the loss breaks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import optimizers, solve
from nst_jax.arrays import LossTerms
from nst_jax.config import OptimizerConfig

GOAL = jnp.asarray(np.random.default_rng(0).random((16, 17, 3)), jnp.float32)


def objective(problem, image):
    zero = jnp.float32(0)
    return LossTerms({"relu1_1": jnp.sum((image - problem) ** 2)}, {}, zero)


def breaks_below(problem, image):
    """Not a number once the image has come near enough to the goal."""
    total = objective(problem, image).total
    return LossTerms({"relu1_1": jnp.where(total < 20, jnp.nan, total)}, {}, total * 0)


class Seen(NamedTuple):
    """A progress with its image on the host, as the state does not last."""

    step: int
    state: None
    value: float
    terms: LossTerms | None
    is_finite: bool
    image: np.ndarray


def collect(solver, *, steps, log_every=4, pace=lambda step: 100):
    runs = solve.run(
        solver,
        GOAL,
        solver.init(jnp.zeros_like(GOAL)),
        steps=steps,
        log_every=log_every,
        pace=pace,
    )
    return [
        Seen(p.step, None, p.value, p.terms, p.is_finite, np.array(p.image))
        for p in runs
    ]


def make(name, function=objective, **settings):
    optimizer = optimizers.make(OptimizerConfig(optimizer=name, **settings))
    return solve.make(jax.jit(function), optimizer)


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_the_length_of_chunks_changes_nothing_and_compiles_nothing(name):
    solver = make(name)
    whole = collect(solver, steps=11, log_every=100)
    bits = collect(solver, steps=11, log_every=3, pace=lambda step: 1 + step % 2)
    np.testing.assert_array_equal(whole[-1].image, bits[-1].image)
    assert whole[-1].value == bits[-1].value
    assert solver.chunk._cache_size() == 1


def test_rows_are_due_at_the_start_every_so_often_and_at_the_end():
    seen = collect(make("adam"), steps=11, log_every=4, pace=lambda step: 3)
    assert [p.step for p in seen] == [0, 3, 4, 7, 8, 11]
    assert [p.step for p in seen if p.terms] == [0, 4, 8, 11]
    for p in seen:
        if p.terms:
            want = float(jnp.sum((p.image - GOAL) ** 2))
            assert p.value == pytest.approx(want, rel=1e-5)
    assert seen[-1].value < seen[0].value


def test_no_steps_measures_the_first_image():
    (only,) = collect(make("lbfgs"), steps=0)
    assert only.step == 0
    assert only.is_finite
    assert only.terms is not None
    np.testing.assert_array_equal(only.image, 0)


def test_the_callers_image_survives():
    image = jnp.zeros_like(GOAL)
    solver = make("adam")
    state = solver.init(image)
    for _ in solve.run(solver, GOAL, state, steps=3, log_every=1, pace=lambda step: 1):
        pass
    assert float(image.sum()) == 0


@pytest.mark.parametrize("pace", [1, 2, 50])
def test_a_loss_that_is_not_a_number_leaves_the_last_good_image(pace):
    solver = make("sgd", breaks_below, learning_rate=0.1, box="none")
    seen = collect(solver, steps=40, log_every=50, pace=lambda step: pace)
    last = seen[-1]
    assert not last.is_finite
    assert last.step < 40
    assert float(jnp.sum((last.image - GOAL) ** 2)) >= 20
    # One more step would have broken it: a step shrinks the error by 0.8.
    assert 0.64 * float(jnp.sum((last.image - GOAL) ** 2)) < 20
    assert all(p.is_finite for p in seen[:-1])


def test_breaking_at_the_very_end_is_seen_too():
    solver = make("sgd", breaks_below, learning_rate=0.1, box="none")
    lasting = collect(solver, steps=40)[-1].step
    seen = collect(solver, steps=lasting + 1)
    assert not seen[-1].is_finite
    assert seen[-1].step == lasting
    assert collect(solver, steps=lasting)[-1].is_finite


def test_a_gradient_that_is_not_finite_ends_the_run():
    def cusp(problem, image):
        return LossTerms({"x": jnp.sum(jnp.sqrt(image))}, {}, jnp.float32(0))

    seen = collect(make("sgd", cusp), steps=5)
    assert not seen[-1].is_finite
    assert seen[-1].step == 0
    np.testing.assert_array_equal(seen[-1].image, 0)


def test_a_bad_first_image_is_said_at_once():
    def never(problem, image):
        return LossTerms({"x": jnp.sum(image) * jnp.nan}, {}, jnp.float32(0))

    (only,) = collect(make("adam", never), steps=5)
    assert not only.is_finite


def test_an_image_that_overflows_is_never_shown():
    """The loss of the image before is fine, and so is its gradient."""
    solver = make("sgd", learning_rate=1e38, box="none")
    seen = collect(solver, steps=5, log_every=0, pace=lambda step: 1)
    assert all(np.isfinite(p.image).all() for p in seen)
    assert not seen[-1].is_finite
    assert seen[-1].step == 0
    np.testing.assert_array_equal(seen[-1].image, 0)


def test_a_run_goes_on_from_a_state():
    solver = make("adam")
    whole = collect(solver, steps=9)[-1]
    state = solver.init(jnp.zeros_like(GOAL))
    options = {"log_every": 0, "pace": lambda step: 100}
    *_, half = solve.run(solver, GOAL, state, steps=4, **options)
    *_, rest = solve.run(solver, GOAL, half.state, steps=9, **options)
    assert rest.step == 9
    np.testing.assert_array_equal(np.asarray(rest.image), whole.image)


def test_without_a_log_the_terms_come_at_the_end_only():
    seen = collect(make("adam"), steps=5, log_every=0, pace=lambda step: 2)
    assert [p.step for p in seen] == [0, 2, 4, 5]
    assert [p.step for p in seen if p.terms] == [5]
    assert np.isnan(seen[0].value)
    assert all(np.isfinite(p.value) for p in seen[1:])


def test_nothing_is_fetched_inside_a_chunk():
    solver = make("adam")
    state = solver.init(jnp.zeros_like(GOAL))
    last = jnp.int32(5)
    state, _ = solver.chunk(GOAL, state, last)
    with jax.transfer_guard("disallow"):
        state, info = solver.chunk(GOAL, state, last + last)
    assert int(state.step) == 10
    assert bool(info.is_finite)
