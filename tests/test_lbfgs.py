"""L-BFGS without a line search, held against torch's rules in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import lbfgs, waves

SHAPE = (4, 5, 3)
RNG = np.random.default_rng(0)
GOAL = RNG.uniform(0, 1, SHAPE)
CURVATURE = np.geomspace(0.1, 10, 60).reshape(SHAPE)
START = RNG.uniform(-0.5, 1, SHAPE)


def bowl(np_, x):
    return np_.sum(np_.asarray(CURVATURE) * (x - np_.asarray(GOAL)) ** 2)


def valley(np_, x):
    """Rosenbrock's, along all pixels."""
    v = x.reshape(-1)
    return np_.sum(10 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)


def ripples(np_, x):
    """A bowl with ripples, where the curvature along many steps is negative."""
    return np_.sum(np_.cos(6 * x) + 3 * (x - 0.4) ** 2)


def gradient(function):
    by_hand = {
        bowl: lambda x: 2 * CURVATURE * (x - GOAL),
        ripples: lambda x: -6 * np.sin(6 * x) + 6 * (x - 0.4),
        valley: _valley_gradient,
    }
    return by_hand[function]


def _valley_gradient(x):
    v = x.reshape(-1)
    bend = v[1:] - v[:-1] ** 2
    g = np.zeros_like(v)
    g[1:] += 20 * bend
    g[:-1] += -40 * v[:-1] * bend - 2 * (1 - v[:-1])
    return g.reshape(x.shape)


def published(
    gradient,
    x,
    steps,
    history,
    units=1.0,
    rate=1.0,
    clip=False,
    seen=lambda s: s,
    longest=np.inf,
):
    """The images of torch.optim.LBFGS without a line search, pixels in 0..units.

    `seen` is the step of an image that a step of x stands for.
    """
    x, pairs, images, kept = x * units, [], [], 0
    scale, before, s = 1.0, None, None
    for t in range(steps):
        images.append(x / units)
        g = gradient(x / units).ravel() / units
        if t:
            y = g - before
            if (ys := y @ s) > 1e-10:
                pairs = [*pairs, (s, y)][-history:]
                scale, kept = ys / (y @ y), kept + 1
        q, alphas = -g, []
        for s, y in reversed(pairs):
            alphas.append((s @ q) / (y @ s))
            q = q - alphas[-1] * y
        d = scale * q
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            d = d + s * (alpha - (y @ d) / (y @ s))
        s = d * rate * (1 if t else min(1, 1 / np.abs(seen(g)).sum()))
        s = s * min(1, longest / np.abs(s).mean())
        before = g
        x = x + s.reshape(x.shape)
        x = np.clip(x, 0, units) if clip else x
    return images, kept


def ours(
    function,
    x,
    steps,
    history,
    first_step=1.0,
    rate=1.0,
    clip=False,
    begin=lbfgs.plain,
    longest=np.inf,
):
    transform = lbfgs.without_search(rate, history, first_step, longest, begin)
    grad = jax.grad(lambda x: function(jnp, x))
    update = jax.jit(transform.update)
    image, images = jnp.asarray(x, jnp.float32), []
    state = transform.init(image)
    for _ in range(steps):
        images.append(image)
        move, state = update(grad(image), state)
        image = image + move
        image = jnp.clip(image, 0, 1) if clip else image
    return images, int(state.kept)


@pytest.mark.parametrize("history", [3, 50])
@pytest.mark.parametrize(
    ("function", "rate", "clip"),
    [
        (bowl, 1.0, False),
        (valley, 1.0, False),
        (bowl, 0.3, False),
        (bowl, 0.7, True),
    ],
)
def test_follows_torch(function, rate, clip, history):
    steps = 15
    want, kept = published(
        gradient(function), START, steps, history, rate=rate, clip=clip
    )
    found, found_kept = ours(function, START, steps, history, rate=rate, clip=clip)
    # float32 against float64: the direction is a difference of nearly equal vectors.
    np.testing.assert_allclose(found, want, atol=5e-5)
    assert found_kept == kept
    assert np.abs(want[-1] - want[0]).max() > 0.1


def test_no_step_is_longer_than_the_longest():
    want, _ = published(gradient(valley), START, 15, 4, longest=0.02)
    found, _ = ours(valley, START, 15, 4, longest=0.02)
    np.testing.assert_allclose(found, want, atol=5e-5)
    lengths = np.abs(np.diff(want, axis=0)).mean((1, 2, 3))
    assert (lengths > 0.0199).any()
    assert (lengths < 0.0199).any()


@pytest.mark.parametrize("function", [bowl, valley])
def test_another_beginning_is_another_variable(function):
    """With B = A A' the image moves as A z does, where z moves as published."""
    # The example of such a B that there is, in float64 and as a matrix.
    basis = np.eye(60, dtype=np.float32).reshape(60, *SHAPE)
    a = np.stack([np.asarray(waves.image(jnp.asarray(each))).ravel() for each in basis])

    def seen(z):
        return (z.reshape(-1) @ a).reshape(SHAPE)

    def slope(z):
        return gradient(function)(seen(z)).ravel() @ a.T

    start = np.linalg.solve(a.T, START.ravel())
    want, kept = published(slope, start, 15, 4, seen=seen)
    found, found_kept = ours(function, START, 15, 4, begin=waves.broadened)
    np.testing.assert_allclose(found, [seen(z) for z in want], atol=5e-5)
    assert found_kept == kept
    plain, _ = ours(function, START, 15, 4)
    assert np.abs(np.asarray(plain) - np.asarray(found)).max() > 1e-2


def test_pairs_without_positive_curvature_are_left_out():
    want, kept = published(gradient(ripples), START, 6, 10)
    found, found_kept = ours(ripples, START, 6, 10)
    assert found_kept == kept < 5
    np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("units", [1.0, 255.0])
@pytest.mark.parametrize("strength", [1e3, 1e-3])
def test_the_first_step_is_that_of_pixels_in_other_units(units, strength):
    def weighted(x):
        return strength * gradient(bowl)(x)

    want, _ = published(weighted, START, 2, 5, units=units)
    found, _ = ours(lambda np_, x: strength * bowl(np_, x), START, 2, 5, 1 / units)
    moved = np.asarray(found[1] - found[0], np.float64)
    # An image in 0..1 holds no change below 6e-8.
    np.testing.assert_allclose(moved, want[1] - want[0], atol=1.2e-7)
    together = np.abs(want[1] - want[0]).sum() * units
    assert together == pytest.approx(1) if strength > 1 else together < 0.5


def test_the_steps_that_follow_do_not_depend_on_the_units():
    # From the second step on only rounding tells programs in 0..1 and 0..255 apart;
    # the first step is small there, so the first turn of the gradient is coarse.
    want, _ = published(gradient(bowl), START, 8, 5, units=16.0)
    found, _ = ours(bowl, START, 8, 5, first_step=1 / 16)
    np.testing.assert_allclose(found, want, atol=1e-3)


def test_a_gradient_of_zero_moves_nothing():
    found, kept = ours(lambda np_, x: 0 * np_.sum(x), START, 3, 5)
    assert (found[0] == found[-1]).all()
    assert kept == 0


def test_follows_torch_itself():
    torch = pytest.importorskip("torch")
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=14, history_size=4, tolerance_grad=0)

    def closure():
        optimizer.zero_grad()
        loss = valley(torch, x)
        loss.backward()
        return loss

    optimizer.step(closure)
    want, _ = published(gradient(valley), START, 15, 4)
    np.testing.assert_allclose(x.detach().numpy(), want[-1], atol=1e-9)
