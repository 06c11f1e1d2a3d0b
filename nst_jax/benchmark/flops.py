"""How many floating-point operations a step takes, by two counts.

Algorithmic: what the method asks for, however it is computed. Executed: what the
compiled program does, as XLA counts it, where that count can be believed.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nst_jax import convolution, layers

Shape = tuple[int, int]
# A count below this share of the algorithmic one has left something out: the most
# that a fast convolution in use (Winograd's 4x4) saves is a factor of four.
_LEAST_SHARE = 0.2


def algorithmic(
    shape: Shape,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    network: layers.Network,
    rounding: convolution.Rounding,
) -> int:
    """Operations of one evaluation: the loss and its gradient by the image.

    Direct convolutions, a multiply-add counted as two, each once forward and once
    for the gradient of its input; second moments of c channels over h w positions,
    2 c^2 h w forward and as many back. What is done value by value is not counted,
    nor the optimiser, nor borders. Other statistics than second moments cost more.
    """
    names = tuple(dict.fromkeys((*content_layers, *style_layers)))
    count = 0
    for row, positions in _positions(shape, names, network, rounding):
        if row.kind == "conv":
            count += 2 * 2 * 9 * row.inputs * row.channels * positions
        if row.name in style_layers:
            count += 2 * 2 * row.channels**2 * positions
    return count


def _positions(
    shape: Shape,
    names: tuple[str, ...],
    network: layers.Network,
    rounding: convolution.Rounding,
) -> Iterator[tuple[layers.Layer, int]]:
    """Each layer that is computed, and at how many positions."""
    rows, columns = shape
    odd = 0 if rounding == "floor" else 1
    for layer in layers.up_to(names, network):
        if layer.kind == "pool":
            rows, columns = (rows + odd) // 2, (columns + odd) // 2
        yield layer, rows * columns


def counted(compiled: jax.stages.Compiled) -> float | None:
    """XLA's count of a compiled program; it counts the body of a loop once."""
    found = compiled.cost_analysis()
    # Older JAX gives a list with one entry.
    table: Any = found[0] if isinstance(found, list) and found else found
    value = table.get("flops") if isinstance(table, dict) else None
    return float(value) if value and value > 0 else None


def executed(
    compiled: jax.stages.Compiled | None,
    products: float | None,
    algorithmic: int,
    precision: str,
) -> tuple[float | None, str]:
    """What one evaluation executes and who says so; None where nobody can.

    XLA's count of the compiled step is taken where the step is the only loop, as a
    further one would be counted as if it went round once; else that of the products
    in the traced program.

    Args:
        compiled: a loop that evaluates once each time, if there is such a one.
        products: the count of `in_products`.
        algorithmic: the operations that it is made for.
        precision: of the network's products.
    """
    text = (compiled.as_text() or "") if compiled else ""
    # cuDNN may take a fast algorithm for float32, which is counted as a direct one.
    if "__cudnn$conv" in text and precision == "float32":
        return None, "unknown: cuDNN does not tell its algorithm"
    if compiled and text.count(" while(") == 1 and is_counted_rightly(precision):
        count = counted(compiled)
        # Less than that has left something out, such as a call of a library.
        if count is not None and count >= _LEAST_SHARE * algorithmic:
            return count, "XLA"
    return products, "unknown" if products is None else "the program's products"


def in_products(jaxpr: Any) -> float | None:
    """Operations of all convolutions and matrix products of a traced program.

    Those of a loop count as often as it goes round; None if that is not known.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name, out = equation.primitive.name, equation.outvars
        if name == "dot_general":
            (axes, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2.0 * out[0].aval.size * math.prod(left[axis] for axis in axes)
            continue
        if name == "conv_general_dilated":
            kernel, names = equation.invars[1].aval, equation.params
            outputs = kernel.shape[names["dimension_numbers"].rhs_spec[0]]
            total += 2.0 * out[0].aval.size * kernel.size / outputs
            continue
        inner = [in_products(each) for each in _programs([*equation.params.values()])]
        known = [count for count in inner if count is not None]
        if len(known) < len(inner) or (name == "while" and any(known)):
            return None
        times = equation.params["length"] if name == "scan" else 1
        total += times * (max(known) if name == "cond" else sum(known))
    return total


def _programs(value: Any) -> list[Any]:
    """The programs among an equation's parameters."""
    if isinstance(value, list | tuple):
        return [program for part in value for program in _programs(part)]
    value = getattr(value, "jaxpr", value)  # a closed one holds an open one
    return [value] if hasattr(value, "eqns") else []


def is_counted_rightly(precision: str) -> bool:
    """Whether XLA's count of a convolution in a loop is right on this device."""
    side, channels = 32, 64
    factors = jnp.bfloat16 if precision == "mixed" else jnp.float32
    image = jnp.ones((1, side, side, channels))
    kernel = jnp.zeros((3, 3, channels, channels), factors)
    lowered = _convolving(precision).lower(image, kernel, jnp.int32(2))
    count, right = counted(lowered.compile()), 2 * 9 * channels**2 * side**2
    # Products with the border's zeros may be left out, and additions counted in.
    return count is not None and 0.93 * right < count < 1.02 * right


def _convolving(precision: str) -> Any:
    """A loop of convolutions whose count is known; not the program's own."""
    exact = lax.Precision.HIGHEST if precision == "float32" else lax.Precision.DEFAULT

    def loop(image: Any, kernel: Any, times: Any) -> Any:
        def again(carry: tuple[Any, Any]) -> tuple[Any, Any]:
            features = lax.conv_general_dilated(
                carry[0].astype(kernel.dtype),
                kernel,
                window_strides=(1, 1),
                padding="SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                precision=exact,
                preferred_element_type=jnp.float32,
            )
            return features, carry[1] + 1

        return lax.while_loop(lambda carry: carry[1] < times, again, (image, 0))

    return jax.jit(loop)
