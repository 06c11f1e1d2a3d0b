"""Every product of the traced program says how exactly it is computed.

JAX's own default is TF32 on NVIDIA GPUs and bfloat16 on TPUs. A product that
does not say otherwise is right on the machine it was tested on and nowhere else.
"""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from nst_jax import losses, vgg
from nst_jax.moments import covariance, gram_matrix, mean, moments

NAMES = ("relu1_1", "relu2_1", "relu3_1")
CONVOLUTIONS = 5  # up to relu3_1
PRODUCTS = ("conv_general_dilated", "dot_general")
HIGHEST = (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
DEFAULT = (lax.Precision.DEFAULT, lax.Precision.DEFAULT)


def products(jaxpr):
    """The products of a traced program, those within its loops and calls included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS:
            found.append(equation)
        for inner in _programs(list(equation.params.values())):
            found += products(inner)
    return found


def _programs(value):
    if isinstance(value, (list, tuple)):
        return [program for part in value for program in _programs(part)]
    value = getattr(value, "jaxpr", value)  # a closed one holds an open one
    return [value] if hasattr(value, "eqns") else []


def traced(function, *arrays):
    return products(jax.make_jaxpr(function)(*arrays).jaxpr)


def named(equations, primitive):
    return [each for each in equations if each.primitive.name == primitive]


def objective(params, preprocessing, image, how):
    """A term of each kind, as the program adds them up."""
    found = vgg.features(params, preprocessing, image, NAMES, how)
    grams = [gram_matrix(moments(found[name])) for name in NAMES]
    style = sum(losses.style(gram, 0 * gram, "mean", image.size)[0] for gram in grams)
    sums = losses.differences(found[NAMES[-1]], 0 * found[NAMES[-1]], "mean")
    content = losses.content(sums, found[NAMES[-1]].size, "mean")
    sums = losses.variations(image, "squared")
    return style + content + losses.total_variation(sums, image.shape, "squared")


@pytest.mark.parametrize(
    ("precision", "expected", "factors", "plain"),
    [
        ("float32", HIGHEST, jnp.float32, False),
        ("float32", HIGHEST, jnp.float32, True),
        ("tf32", DEFAULT, jnp.float32, False),
        ("tf32", DEFAULT, jnp.float32, True),
        # JAX's own gradient of a mixed product is not mixed, or fails (0.7).
        ("mixed", DEFAULT, jnp.bfloat16, False),
    ],
)
def test_every_product_of_a_descent_is_named(
    small_params, unit_preprocessing, precision, expected, factors, plain
):
    how = vgg.Forward(precision=precision, plain=plain)

    def descend(params, preprocessing, image):
        def step(image, _):
            slope = jax.grad(objective, 2)(params, preprocessing, image, how)
            return image - 0.01 * slope, None

        def chunk(carry):
            image, count = carry
            return lax.scan(step, image, length=2)[0], count + 1

        return lax.while_loop(lambda carry: carry[1] < 3, chunk, (image, 0))[0]

    image = jnp.zeros((16, 17, 3))
    found = traced(jax.jit(descend), small_params, unit_preprocessing, image)
    convolutions = named(found, "conv_general_dilated")
    assert len(convolutions) == 2 * CONVOLUTIONS
    for each in convolutions:
        assert each.params["precision"] == expected
        assert each.outvars[0].aval.dtype == jnp.float32
        assert {var.aval.dtype for var in each.invars} == {jnp.dtype(factors)}
    inner = named(found, "dot_general")
    assert len(inner) >= 2 * len(NAMES)
    assert {each.params["precision"] for each in inner} == {HIGHEST}


@pytest.mark.parametrize("order", [jax.grad, jax.value_and_grad, lambda f: f])
def test_moments_and_losses_are_always_exact(order):
    def term(features, weight):
        sums = moments(features, weight)
        gram = gram_matrix(sums, "elements")
        plain = losses.style(gram, 0 * gram, "sum", 1)
        about = (mean(sums), covariance(sums))
        exact, iterated = (
            losses.wasserstein(*about, *about, losses.target_root(about[1], n), n)
            for n in (0, 2)
        )
        return (plain + exact + iterated).sum()

    found = traced(order(term), jnp.ones((4, 5, 3)), jnp.ones((4, 5, 2)))
    assert len(found) >= 2
    assert {each.params["precision"] for each in found} == {HIGHEST}


@pytest.mark.parametrize("hidden", ["plain", "loop", "branch", "rule", "vmap"])
@pytest.mark.parametrize("primitive", PRODUCTS)
def test_an_unnamed_product_is_found_wherever_it_hides(primitive, hidden):
    def unnamed(x):
        if primitive == "dot_general":
            return x @ x
        kernel = jnp.ones((1, 1, 1, 1))
        return lax.conv(x[None, None], kernel, (1, 1), "SAME")[0, 0]

    rule = jax.custom_vjp(unnamed)
    rule.defvjp(lambda x: (unnamed(x), x), lambda x, cotangent: (cotangent,))
    function = {
        "plain": unnamed,
        "loop": lambda x: lax.while_loop(
            lambda y: y[0, 0] < 1,
            lambda y: lax.scan(lambda z, _: (unnamed(z), None), y, length=2)[0],
            x,
        ),
        "branch": lambda x: lax.cond(x[0, 0] > 0, jax.jit(unnamed), lambda y: y, x),
        "rule": jax.jit(jax.checkpoint(rule)),
        "vmap": lambda x: jax.vmap(unnamed)(x[None])[0],
    }[hidden]
    found = traced(function, jnp.ones((3, 3)))
    assert [each.primitive.name for each in found] == [primitive]
    assert found[0].params["precision"] is None
