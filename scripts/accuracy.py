"""Prints the README's accuracy tables: python scripts/accuracy.py [--image=FILE].

Features of the true VGG19, losses and gradients, each against the float64
formulas of tests/oracles.py. Runs from a checkout; takes about a minute.
"""

import argparse
import importlib
import itertools
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from nst_jax import images, layers, losses, moments, pretrained, vgg
from nst_jax.arrays import Weights
from nst_jax.convolution import Pooling, Precision, Products
from nst_jax.errors import RequestError

ROOT = Path(__file__).resolve().parents[1]
# One implementation of the formulas serves the tests and this table. The folder
# `tests` is no package, and other packages install one of that name.
sys.path.insert(0, str(ROOT / "tests"))
oracles = importlib.import_module("oracles")

MAX_PIXELS = 100_000_000
SHAPES = ((5, 7, 64), (32, 33, 128), (257, 129, 64))  # the last: over 2^15 pixels
SMALL = (5, 7, 3)  # where every single number is moved a little
PIXELS = 35

Numbers = np.ndarray
Row = tuple[str, Callable[..., typing.Any], Callable[..., float]]


def main(arguments: list[str]) -> int:
    """Prints the tables; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default=str(ROOT / "examples" / "content.jpg"))
    parser.add_argument("--size", type=int, default=256, help="long side in pixels")
    options = parser.parse_args(arguments)
    try:
        image = _picture(options.image, options.size)
        weights = pretrained.load("vgg19")
    except RequestError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    device = jax.devices()[0]
    height, width, _ = image.shape
    print(f"{device.device_kind} ({device.platform}), jax {jax.__version__}\n")
    print(f"VGG19 ({weights.name}) at {width}x{height}, relative norm:\n")
    print(_features_table(weights, image, _precisions(device.platform)))
    print("\nLosses, relative: the value over all shapes, the gradient in norm:\n")
    print(_losses_table())
    return 0


def _picture(path: str, size: int) -> Numbers:
    pixels = images.read(path, max_pixels=MAX_PIXELS).pixels
    height, width, _ = pixels.shape
    shape = images.working_size((height, width), size, "long")
    return images.resize(pixels, shape, filter="lanczos")


def _precisions(platform: str) -> tuple[Precision, ...]:
    """Those that differ on the device: only GPUs have products in TF32."""
    return ("float32", "tf32", "mixed") if platform == "gpu" else ("float32", "mixed")


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def _features_table(
    weights: Weights, image: Numbers, precisions: tuple[Precision, ...]
) -> str:
    names = tuple(row.name for row in layers.table("vgg19") if row.kind == "relu")
    head, columns = ["layer"], []
    for pooling in typing.get_args(Pooling):
        exact = oracles.network_features(
            weights.params,
            image,
            weights.preprocessing,
            last=names[-1],
            pooling=pooling,
        )
        for precision, products in itertools.product(
            precisions, typing.get_args(Products)
        ):
            how = vgg.Forward(pooling=pooling, precision=precision, products=products)
            found = _features(weights, image, names, how)
            errors = [oracles.relative_error(found[n], exact[n]) for n in names]
            columns.append([*errors, max(errors)])
            head.append(f"{pooling}, {precision}, {products}")
    rows = zip([*names, "largest"], *columns, strict=True)
    return _markdown(head, [[name, *map("{:.1e}".format, row)] for name, *row in rows])


def _features(
    weights: Weights,
    image: Numbers,
    names: tuple[str, ...],
    how: vgg.Forward,
) -> dict[str, jax.Array]:
    params = weights.params
    if how.products == "winograd":
        # As for a picture so large that every layer takes it.
        which = vgg.worth_spreading(names, how.network, 2**20)
        params = vgg.spread(params, which, how.precision)
    run = jax.jit(vgg.features, static_argnums=(3, 4))
    found = run(params, weights.preprocessing, image, names, how)
    return typing.cast(dict[str, jax.Array], found)


def _losses_table() -> str:
    rows = []
    for name, ours, exact in (*_content_rows(), *_style_rows()):
        rows.append([name, _value_error(ours, exact, SHAPES), _slope(ours, exact)])
    shapes = tuple((*shape[:2], 3) for shape in SHAPES)
    for name, ours, exact in _variation_rows():
        rows.append([name, _value_error(ours, exact, shapes), _slope(ours, exact)])
    return _markdown(["loss", "value", "gradient"], rows)


def _content_rows() -> list[Row]:
    def row(form: losses.ContentForm) -> Row:
        def ours(features: jax.Array, target: jax.Array) -> jax.Array:
            sums = losses.differences(features, target, form)
            return losses.content(sums, features.size, form)

        return f"content, {form}", ours, lambda f, p: oracles.content(f, p, form)

    return [row(form) for form in typing.get_args(losses.ContentForm)]


def _style_rows() -> list[Row]:
    def row(division: moments.Division, reduction: losses.StyleReduction) -> Row:
        def gram(features: jax.Array) -> jax.Array:
            return moments.gram_matrix(moments.moments(features), division)

        def ours(features: jax.Array, target: jax.Array) -> jax.Array:
            # A value for each region, of which there is one.
            each = losses.style(gram(features), gram(target), reduction, PIXELS)
            return each.sum()

        def exact(features: Numbers, target: Numbers) -> float:
            pair = (oracles.gram(array, division) for array in (features, target))
            return float(oracles.style(*pair, reduction, PIXELS))

        return f"style, Gram / {division}, {reduction}", ours, exact

    return [
        row(division, reduction)
        for division in typing.get_args(moments.Division)
        for reduction in typing.get_args(losses.StyleReduction)
    ]


def _variation_rows() -> list[Row]:
    def row(form: losses.VariationForm) -> Row:
        def ours(image: jax.Array, _: jax.Array) -> jax.Array:
            sums = losses.variations(image, form)
            return losses.total_variation(sums, image.shape, form)

        return (
            f"total variation, {form}",
            ours,
            lambda image, _: oracles.total_variation(image, form),
        )

    return [row(form) for form in typing.get_args(losses.VariationForm)]


def _pair(shape: tuple[int, ...]) -> list[Numbers]:
    """Two arrays that are half zero, half positive, as features after a ReLU are."""
    generator = np.random.default_rng(0)
    drawn = [generator.normal(size=shape) for _ in range(2)]
    return [np.maximum(array, 0).astype(np.float32) for array in drawn]


def _value_error(
    ours: Callable[..., jax.Array],
    exact: Callable[..., float],
    shapes: tuple[tuple[int, ...], ...],
) -> str:
    errors = []
    for shape in shapes:
        arrays = _pair(shape)
        errors.append(oracles.relative_error(jax.jit(ours)(*arrays), exact(*arrays)))
    return f"{max(errors):.1e}"


def _slope(ours: Callable[..., jax.Array], exact: Callable[..., float]) -> str:
    generator = np.random.default_rng(1)
    point, target = (generator.random(SMALL, np.float32) for _ in range(2))
    found = jax.jit(jax.grad(ours))(point, target)
    expected = oracles.numerical_gradient(lambda moved: exact(moved, target), point)
    return f"{oracles.relative_error(found, expected):.1e}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
