"""L-BFGS that takes every step whole, as torch.optim and torch7's optim do.

Published pictures were made with it, so its choices are kept where optax's
`scale_by_lbfgs` makes others: a pair of move and turn is left out where the curvature
along it is not clearly positive (optax keeps it, and without a line search such pairs
come up); the first step is measured by the sum of its changes, not their norm; and a
move is what was asked for, even if the image was clipped on its way.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from nst_jax.arrays import Image, Scalar

# A pair of less curvature is left out. It is a change of the loss, so it does not
# depend on the range of the pixels.
_LEAST_CURVATURE = 1e-10


class State(NamedTuple):
    """The last `m` pairs: how the image moved, and how the gradient turned."""

    updates: Int[Array, ""]  # so far
    kept: Int[Array, ""]  # pairs so far; the next one replaces the oldest
    moves: Float[Array, "m h w 3"]
    turns: Float[Array, "m h w 3"]
    weights: Float[Array, "m"]  # 1 / (move . turn), and 0 where no pair is yet
    scale: Scalar  # the inverse Hessian before any pair
    move: Image  # the last one
    grad: Image  # where it started


def without_search(
    rate: float, history: int, first_step: float
) -> optax.GradientTransformation:
    """Moves the image by `rate` times the L-BFGS direction, the first time by less.

    Programs for pixels in 0..U measure the first step in their units, where gradients
    are U times smaller: it is `min(1, 1/|g|_1) g`. For an image in 0..1 that is
    `min(F^2, F/|g|_1) g` with F = 1/U, and F is the sum of its absolute changes unless
    the gradient is very small. The steps that follow do not depend on U.

    Args:
        rate: the length of a step, 1 being a whole one.
        history: how many pairs are remembered.
        first_step: F, so 1 for a program on 0..1 and 1/255 for one on 0..255.
    """

    def init(image: Image) -> State:
        pairs = jnp.zeros((history, *image.shape), image.dtype)
        return State(
            updates=jnp.int32(0),
            kept=jnp.int32(0),
            moves=pairs,
            turns=pairs,
            weights=jnp.zeros(history, image.dtype),
            scale=jnp.asarray(first_step**2, image.dtype),
            move=jnp.zeros_like(image),
            grad=jnp.zeros_like(image),
        )

    def update(
        grad: Image, state: State, image: Image | None = None
    ) -> tuple[Image, State]:
        state = _remember(state, grad)
        shorter = jnp.minimum(1, 1 / (first_step * jnp.sum(jnp.abs(grad))))
        length = rate * jnp.where(state.updates == 0, shorter, 1)
        move = -length * direction(state, grad)
        return move, state._replace(updates=state.updates + 1, move=move, grad=grad)

    return optax.GradientTransformation(init, update)


def direction(state: State, grad: Image) -> Image:
    """The inverse Hessian of the remembered pairs times a gradient.

    The two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
    """
    history = len(state.weights)
    order = (state.kept + jnp.arange(history)) % history  # the oldest first

    def back(rest: Image, at: Int[Array, ""]) -> tuple[Image, Scalar]:
        along = state.weights[at] * optax.tree.vdot(state.moves[at], rest)
        return rest - along * state.turns[at], along

    def forth(found: Image, pair: tuple[Int[Array, ""], Scalar]) -> tuple[Image, None]:
        at, along = pair
        turned = state.weights[at] * optax.tree.vdot(state.turns[at], found)
        return found + (along - turned) * state.moves[at], None

    rest, along = jax.lax.scan(back, grad, order, reverse=True)
    found, _ = jax.lax.scan(forth, state.scale * rest, (order, along))
    return found


def _remember(state: State, grad: Image) -> State:
    """The state with its last move as a pair, if the curvature along it is positive."""
    turn = grad - state.grad
    curvature = optax.tree.vdot(state.move, turn)
    # At the first update nothing has moved, so the curvature is zero.
    good = curvature > _LEAST_CURVATURE
    at = state.kept % len(state.weights)

    def put(pairs: Array, new: Array) -> Array:
        return pairs.at[at].set(jnp.where(good, new, pairs[at]))

    scale = curvature / optax.tree.vdot(turn, turn)
    return state._replace(
        kept=state.kept + good,
        moves=put(state.moves, state.move),
        turns=put(state.turns, turn),
        weights=put(state.weights, 1 / curvature),
        scale=jnp.where(good, scale, state.scale),
    )
