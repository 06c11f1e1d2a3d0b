"""Faults on the way: seen on the device, mended from the last good image, told of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import guard, optimizers, solve
from nst_jax.arrays import LossTerms
from nst_jax.config import OptimizerConfig

GOAL = jnp.asarray(np.random.default_rng(0).random((16, 17, 3)), jnp.float32)
EVERY = ("lbfgs", "adam", "rmsprop", "adagrad", "sgd")


def square(problem, image):
    total = jnp.sum((image - problem) ** 2)
    return LossTerms({"x": total}, {}, jnp.float32(0))


def make(name, objective=square, keep="last", **settings):
    settings = {"optimizer": name, **settings}
    optimizer = optimizers.make(OptimizerConfig(**settings))
    return solve.make(jax.jit(objective), optimizer, keep), settings


def begun(made, image=None, **bounds):
    """The state that a scale starts from, as `transfer` makes it."""
    solver, settings = made
    state = solver.init(jnp.zeros_like(GOAL) if image is None else image)
    moves = optimizers.at_rate(state.opt_state, OptimizerConfig(**settings))
    return state._replace(opt_state=moves, bounds=guard.bounds(0, **bounds))


def went(made, state, steps=60, pace=100, chances=20, problem=GOAL):
    """Each pause, with its image on the host."""
    found = []
    for now in solve.run(
        made[0],
        problem,
        state,
        steps=steps,
        log_every=0,
        pace=lambda step: pace,
        chances=chances,
    ):
        found.append((now._replace(state=None), np.array(now.image)))
    return found


def loss(image):
    return float(jnp.sum((image - GOAL) ** 2))


def flaky(name, bad, **settings):
    """A solver whose loss is `bad` in the evaluations of those numbers."""
    calls = []

    def happens(total):
        calls.append(None)
        return np.float32(bad[1] if len(calls) in bad[0] else 1)

    def objective(problem, image):
        total = square(problem, image).total
        # What depends on nothing in the loop would be asked once.
        factor = jax.pure_callback(
            happens,
            jax.ShapeDtypeStruct((), jnp.float32),
            jax.lax.stop_gradient(total),
        )
        return LossTerms({"x": total * factor}, {}, jnp.float32(0))

    return make(name, objective, **settings)


@pytest.mark.parametrize("name", EVERY)
def test_a_loss_that_is_once_no_number_costs_one_step(name):
    # Within a line search it is one more step that is too long.
    made = flaky(name, ({1} if name == "lbfgs" else {5, 6}, np.nan))
    pauses = went(made, begun(made))
    recoveries = [now.recovery for now, _ in pauses if now.recovery]
    assert recoveries
    assert {each.fault for each in recoveries} == {guard.BROKEN}
    last, image = pauses[-1]
    assert last.is_finite
    assert last.step == 60
    assert loss(image) < 0.6 * loss(jnp.zeros_like(GOAL))
    rate = OptimizerConfig(optimizer=name)
    if name != "lbfgs":
        halved = optimizers.learning_rate(rate) * 0.5 ** len(recoveries)
        assert recoveries[-1].rate == pytest.approx(halved)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_lbfgs_without_a_search_survives_a_loss_that_is_no_number(bad):
    made = flaky("lbfgs", ({5, 6}, bad), line_search="none")
    pauses = went(made, begun(made))
    recoveries = [now.recovery for now, _ in pauses if now.recovery]
    assert [each.fault for each in recoveries] == [guard.BROKEN] * 2
    assert recoveries[-1].rate == 0.25
    last, image = pauses[-1]
    assert last.is_finite
    assert last.step == 60
    assert loss(image) < 1e-3 * loss(jnp.zeros_like(GOAL))


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad", "sgd"])
def test_a_loss_that_explodes_once_costs_one_step(name):
    made = flaky(name, ({5}, 1e9))
    grey = loss(jnp.full_like(GOAL, 0.5))
    pauses = went(made, begun(made, grey=grey))
    (told,) = [now.recovery for now, _ in pauses if now.recovery]
    assert told.fault == guard.EXPLODED
    assert pauses[-1][0].step == 60
    assert loss(pauses[-1][1]) < 0.6 * loss(jnp.zeros_like(GOAL))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("pace", [1, 7, 100])
def test_a_fault_is_mended_alike_however_long_chunks_are(name, pace):
    """A wall beyond which the loss is no number: the way leads up to it."""

    def wall(problem, image):
        total = square(problem, image).total
        return LossTerms({"x": jnp.where(total < 20, jnp.nan, total)}, {}, 0 * total)

    made = make(name, wall)
    runs = [
        went(made, begun(made), pace=each, chances=3, steps=200) for each in (pace, 13)
    ]
    for left, right in zip(
        *([now.recovery for now, _ in run if now.recovery] for run in runs), strict=True
    ):
        assert left == right
    np.testing.assert_array_equal(runs[0][-1][1], runs[1][-1][1])
    assert loss(runs[0][-1][1]) >= 20 - 1e-3


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad", "sgd"])
@pytest.mark.parametrize("box", ["step", "end"])
def test_absurd_rates_are_halved_until_they_lead_somewhere(name, box):
    rate = {"adagrad": 100.0, "sgd": 100.0}.get(name, 50.0)
    made = make(name, learning_rate=rate, box=box)
    grey = loss(jnp.full_like(GOAL, 0.5))
    start = jnp.clip(GOAL + 0.1, 0, 1)
    pauses = went(made, begun(made, start, grey=grey), steps=400)
    last, image = pauses[-1]
    assert last.is_finite
    assert any(now.recovery for now, _ in pauses)
    assert loss(image) < 1.5 * grey  # pixels thrown to and fro have 4 times as much
    assert np.abs(image).max() < 2


def test_an_explosion_goes_back_to_the_last_good_image():
    made = make("sgd", learning_rate=40.0, box="end")
    state = begun(made, GOAL + 0.01, grey=loss(GOAL + 0.01))
    (_, first), (now, image), *_ = went(made, state, chances=1)
    assert now.recovery.fault == guard.EXPLODED
    assert now.recovery.rate == 20
    # 79 times as far from the goal with each step, so the second image has exploded.
    assert now.step == 0
    np.testing.assert_array_equal(image, first)


def test_without_chances_the_last_good_image_is_the_end():
    made = make("sgd", learning_rate=1e30, box="none")
    pauses = went(made, begun(made), chances=3)
    assert [bool(now.recovery) for now, _ in pauses] == [False, True, True, True, False]
    last, image = pauses[-1]
    assert not last.is_finite
    assert last.fault in (guard.BROKEN, guard.EXPLODED)
    np.testing.assert_array_equal(image, 0)


@pytest.mark.parametrize("keep", ["last", "best", "average"])
def test_what_is_kept_is_good_after_a_divergence(keep):
    """An explosion in the middle: images far from 0..1 must not be in the average."""

    def cliff(problem, image):
        total = square(problem, image).total
        # A slope that throws what comes near the goal far away.
        return LossTerms(
            {"x": jnp.where(total < 30, 1e4 * total, total)}, {}, 0 * total
        )

    made = make("sgd", cliff, keep=keep, learning_rate=0.1, box="none")
    grey = loss(jnp.full_like(GOAL, 0.5))
    pauses = went(made, begun(made, grey=grey), chances=2)
    assert any(now.recovery for now, _ in pauses)
    for now, image in pauses[1:]:
        assert np.abs(image).max() < 1.01, now
    if keep == "best":
        found = [loss(image) for _, image in pauses[1:]]
        assert min(found) == found[-1]


def test_a_rise_is_told_from_a_detour():
    """As bad as the first image for ever is no fault, worse for ten steps is one."""
    made = make("sgd", learning_rate=1.0, box="none")
    state = begun(made, GOAL + 0.1, grey=1e-3)  # it goes to and fro, as bad as before
    pauses = went(made, state, steps=50)
    assert not any(now.recovery for now, _ in pauses)
    made = make("sgd", learning_rate=1.05, box="none")
    pauses = went(made, begun(made, GOAL + 0.1, grey=1e-3), steps=50, chances=1)
    (told,) = [now.recovery for now, _ in pauses if now.recovery]
    assert told.fault == guard.RISEN
    assert told.step == 0
    assert pauses[-1][0].step == 50


@pytest.mark.parametrize("chances", [0, 1, 20])
def test_a_line_search_that_finds_nothing_starts_afresh_and_then_ends(chances):
    """A gradient that points the wrong way stands for a plateau of rounding."""

    @jax.custom_vjp
    def wrong(total):
        return total

    wrong.defvjp(lambda total: (total, None), lambda _, slope: (-slope,))

    def lying(problem, image):
        total = square(problem, image).total
        total = jnp.where(total < 50, wrong(total), total)
        return LossTerms({"x": total}, {}, jnp.float32(0))

    made = make("lbfgs", lying)
    pauses = went(made, begun(made), steps=100, chances=chances)
    assert pauses[-1][0].halt == "settled"
    assert pauses[-1][0].is_finite
    assert pauses[-1][0].terms is not None
    assert pauses[-1][0].step < 100


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("pace", [1, 4, 100])
def test_tolerance_ends_on_the_same_step_however_long_chunks_are(name, pace):
    made = make(name)
    state = begun(made, tolerance=0.05, window=5)
    last, image = went(made, state, steps=1000, pace=pace)[-1]
    assert last.halt == "settled"
    want, whole = went(made, begun(made, tolerance=0.05, window=5), 1000, 13)[-1]
    assert last.step == want.step < 1000
    assert last.step % 5 == 0
    assert last.terms is not None
    np.testing.assert_array_equal(image, whole)


def test_tolerance_is_of_the_lowest_loss_in_a_window():
    made = make("sgd", learning_rate=0.05, box="none")  # the loss falls by 0.81 a step
    for tolerance, ends in ((1 - 0.81**4 + 1e-3, True), (1 - 0.81**4 - 1e-3, False)):
        state = begun(made, tolerance=tolerance, window=4)
        last, _ = went(made, state, steps=30)[-1]
        assert (last.halt == "settled") == ends
        assert last.step == (8 if ends else 30)


def test_schedules_go_on_after_a_recovery():
    made = flaky("adam", ({30}, np.nan), schedule="cosine", schedule_steps=50)
    *_, (before, _), (last, _) = went(made, begun(made), steps=45)
    assert before.recovery
    assert last.is_finite
    solver, _ = made
    state = solver.restart(begun(made), 0.5)
    inner = state.opt_state.inner[1]
    moved = begun(made).opt_state._replace(
        inner=(state.opt_state.inner[0], inner._replace(count=jnp.int32(7)))
    )
    state = solver.restart(begun(made)._replace(opt_state=moved), 0.5)
    assert int(state.opt_state.inner[1].count) == 7
    assert int(state.opt_state.inner[0].count) == 0


def test_a_pace_of_zero_ends_it_there_with_terms():
    made = make("adam")
    run = solve.run(
        made[0],
        GOAL,
        begun(made),
        steps=50,
        log_every=0,
        pace=lambda step: 0 if step >= 7 else 3,
    )
    *_, last = run
    assert (last.step, last.halt) == (9, "time")
    assert last.terms is not None


def test_lbfgs_without_a_search_takes_shorter_steps_after_a_fault():
    made = make("lbfgs", line_search="none", learning_rate=40.0)
    pauses = went(made, begun(made), steps=100, chances=20)
    rates = [now.recovery.rate for now, _ in pauses if now.recovery]
    assert rates
    last, image = pauses[-1]
    assert last.is_finite
    assert loss(image) < 1e-3 * loss(jnp.zeros_like(GOAL))


def test_a_stall_soon_after_a_restart_is_the_end():
    start = guard.bounds(7)
    again = guard.restarted(start)
    assert not guard.is_at_rest(start._replace(taken=jnp.int32(3)))
    assert guard.is_at_rest(again._replace(taken=jnp.int32(30)))
    assert not guard.is_at_rest(again._replace(taken=jnp.int32(31)))
