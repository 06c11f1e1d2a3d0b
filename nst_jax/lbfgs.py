"""L-BFGS that takes every step whole, as torch.optim and torch7's optim do.

Published pictures were made with it, so its choices are kept where optax's
`scale_by_lbfgs` makes others: a pair of move and turn is left out where the curvature
along it is not clearly positive (optax keeps it, and without a line search such pairs
come up); the first step is measured by the sum of its changes, not their norm; and a
move is what was asked for, even if the image was clipped on its way.

The direction is theirs as well, but not by their two loops over the pairs, in which
each product waits for the one before: the compact form of the same matrix takes two
passes over all pairs at once, which cores can share, and a small triangular system.

Where broad waves are to go further than pixels, the inverse Hessian begins with a
matrix B instead of the identity. That is L-BFGS in another variable, z with x = A z
and B = A A', but moves stay those of the image, and B is applied once a step.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from nst_jax.arrays import Image, Scalar

# A pair of less curvature is left out. It is a change of the loss, so it does not
# depend on the range of the pixels.
_LEAST_CURVATURE = 1e-10


class State(NamedTuple):
    """The last `m` pairs: how the image moved, and how the gradient turned.

    Turns are kept as `begin` makes them, z = B y of a turn y of the gradient.
    """

    updates: Int[Array, ""]  # so far
    kept: Int[Array, ""]  # pairs so far; the next one replaces the oldest
    moves: Float[Array, "m h w 3"]
    turns: Float[Array, "m h w 3"]
    curvatures: Float[Array, "m m"]  # move . y, for each y with the moves before
    turned: Float[Array, "m m"]  # y . B y
    scale: Scalar  # of B
    move: Image  # the last one
    grad: Image  # where it started
    begun: Image  # B grad


def plain(grad: Image) -> Image:
    """The gradient: the identity, with which L-BFGS usually begins."""
    return grad


def without_search(
    rate: float,
    history: int,
    first_step: float,
    longest_step: float = math.inf,
    begin: Callable[[Image], Image] = plain,
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
        longest_step: the most that a step moves a value on average; one that would be
            longer is as long. Departure: published programs leap as far as they like.
        begin: B, the inverse Hessian before any pair but for its scale: linear, and its
            own transpose.
    """

    def init(image: Image) -> State:
        pairs = jnp.zeros((history, *image.shape), image.dtype)
        return State(
            updates=jnp.int32(0),
            kept=jnp.int32(0),
            moves=pairs,
            turns=pairs,
            curvatures=jnp.zeros((history, history), image.dtype),
            turned=jnp.zeros((history, history), image.dtype),
            scale=jnp.asarray(first_step**2, image.dtype),
            move=jnp.zeros_like(image),
            grad=jnp.zeros_like(image),
            begun=jnp.zeros_like(image),
        )

    def update(
        grad: Image, state: State, image: Image | None = None
    ) -> tuple[Image, State]:
        begun = begin(grad)
        state, pairs = _remember(state, grad, begun)
        shorter = jnp.minimum(1, 1 / (first_step * jnp.sum(jnp.abs(begun))))
        length = rate * jnp.where(state.updates == 0, shorter, 1)
        move = -length * direction(state, pairs, grad, begun)
        if longest_step < math.inf:
            mean = jnp.mean(jnp.abs(move))
            move = jnp.where(mean > longest_step, longest_step / mean, 1) * move
        return move, state._replace(
            updates=state.updates + 1,
            moves=_written(pairs.moves, move),
            turns=_written(pairs.turns, move),
            move=move,
            grad=grad,
            begun=begun,
        )

    return optax.GradientTransformation(init, update)


class Images(NamedTuple):
    """Images, one of which is to be replaced.

    Written at once, they would be copied whole: XLA fuses the writing into the
    products that follow.
    """

    kept: Float[Array, "m h w 3"]
    at: Int[Array, ""]
    new: Image  # what is at `at` already, where nothing is to be replaced


class Pairs(NamedTuple):
    """The pairs with the newest among them."""

    moves: Images
    turns: Images


def direction(state: State, pairs: Pairs, grad: Image, begun: Image) -> Image:
    """The inverse Hessian of the pairs times a gradient, of which `begun` is B times.

    H g = c B g + S a - c Z u with R u = S'g and R'a = (D + c Y'Z) u - c Z'g, where the
    columns of S are the moves and those of Z = B Y the turns, the oldest first, R is
    the upper triangle of S'Y, D its diagonal and c the scale: Byrd, Nocedal and
    Schnabel (1994), theorem 2.2, which has the identity for B. Departure: pairs that
    are not there yet have ones in R and zeros elsewhere.
    """
    history = len(state.moves)
    order = (state.kept + jnp.arange(history)) % history  # the oldest first
    is_there = jnp.arange(history) >= history - state.kept
    both = is_there[:, None] & is_there[None]
    curvatures, turned = (
        jnp.where(both, each[order][:, order], 0)
        for each in (state.curvatures, state.turned)
    )
    along, across = (
        jnp.where(is_there, _dots(each, grad)[order], 0)
        for each in (pairs.moves, pairs.turns)
    )
    diagonal = jnp.diagonal(curvatures)
    upper = jnp.triu(curvatures) + jnp.diag(jnp.where(is_there, 0.0, 1.0))
    found = solve_triangular(upper, along)
    back = diagonal * found + state.scale * (_product(turned, found) - across)
    forth = solve_triangular(upper, back, trans=1)
    by_move, by_turn = (
        jnp.zeros_like(each).at[order].set(each) for each in (forth, found)
    )
    rest = begun - _sum(by_turn, pairs.turns)
    return state.scale * rest + _sum(by_move, pairs.moves)


def _remember(state: State, grad: Image, begun: Image) -> tuple[State, Pairs]:
    """The state with its last move as a pair, if the curvature along it is positive.

    The pairs themselves are written last: see `Images`.
    """
    raw, turn = grad - state.grad, begun - state.begun
    curvature = optax.tree.vdot(state.move, raw)
    # At the first update nothing has moved, so the curvature is zero.
    good = curvature > _LEAST_CURVATURE
    at = state.kept % len(state.moves)
    pairs = Pairs(
        *(
            Images(images, at, jnp.where(good, new, images[at]))
            for images, new in ((state.moves, state.move), (state.turns, turn))
        )
    )

    def put(rows: Array, new: Array) -> Array:
        return rows.at[at].set(jnp.where(good, new, rows[at]))

    # The newest turn with all moves; its own move is older than no other turn.
    column, row = (_dots(each, raw) for each in pairs)
    return state._replace(
        kept=state.kept + good,
        curvatures=put(state.curvatures.T, column).T,
        turned=put(put(state.turned, row).T, row).T,
        scale=jnp.where(good, curvature / optax.tree.vdot(raw, turn), state.scale),
    ), pairs


def _dots(images: Images, image: Image) -> Float[Array, "m"]:
    """The product of each with an image."""
    flat = images.kept.reshape(len(images.kept), -1)
    newest = optax.tree.vdot(images.new, image)
    return _product(flat, image.reshape(-1)).at[images.at].set(newest)


def _sum(weights: Float[Array, "m"], images: Images) -> Image:
    """The sum of all, each by its weight."""
    flat = images.kept.reshape(len(images.kept), -1)
    # Two rows where one would do, of which XLA makes a slow loop of its own on CPUs.
    rows = jnp.stack([weights.at[images.at].set(0), jnp.zeros_like(weights)])
    others = _product(rows, flat)[0].reshape(images.new.shape)
    return others + weights[images.at] * images.new


def _written(images: Images, move: Image) -> Float[Array, "m h w 3"]:
    return images.kept.at[images.at].set(images.new + 0 * move)


def _product(one: Array, other: Array) -> Array:
    """The matrix product in true float32, on every device."""
    return jnp.matmul(one, other, precision=jax.lax.Precision.HIGHEST)
