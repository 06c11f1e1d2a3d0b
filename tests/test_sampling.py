"""Sizes exact to rounding; every filter against its definition in float64."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nst_jax.errors import RequestError
from nst_jax.images.sampling import crop, resize, working_size
from nst_jax.layers import MIN_SIDE

FILTERS = ("lanczos", "bicubic", "bilinear", "box", "nearest", "area")
RULES = ("long", "short", "width", "height", "area")
quick = settings(deadline=None, max_examples=60)
sides = st.integers(16, 6000)


def sinc(x):
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


KERNELS = {
    "box": (0.5, lambda x: 1.0 if -0.5 < x <= 0.5 else 0.0),
    "bilinear": (1, lambda x: max(0.0, 1 - abs(x))),
    "bicubic": (  # Keys (1981), equation 4 with a = -1/2
        2,
        lambda x: (
            1.5 * abs(x) ** 3 - 2.5 * abs(x) ** 2 + 1
            if abs(x) < 1
            else -0.5 * abs(x) ** 3 + 2.5 * abs(x) ** 2 - 4 * abs(x) + 2
        ),
    ),
    "lanczos": (3, lambda x: sinc(x) * sinc(x / 3)),
}


def weights(length, count, filter, antialias):
    """The matrix that takes one line of samples to another, by definition."""
    reach, kernel = KERNELS[filter]
    widening = max(length / count, 1.0) if antialias else 1.0
    matrix = np.zeros((count, length))
    for row in range(count):
        centre = (row + 0.5) * length / count
        for column in range(length):
            x = (column + 0.5 - centre) / widening
            if abs(x) <= reach:
                matrix[row, column] = kernel(x)
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("filter", KERNELS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("shape", [(7, 11), (61, 5), (23, 37), (40, 53)])
def test_resize_is_the_filter_by_its_definition(filter, antialias, shape):
    pixels = np.random.default_rng(3).random((23, 37, 3), np.float32)
    rows = weights(23, shape[0], filter, antialias)
    columns = weights(37, shape[1], filter, antialias)
    expected = np.einsum("ih,hwc,jw->ijc", rows, pixels.astype(np.float64), columns)
    resized = resize(pixels, shape, filter=filter, antialias=antialias)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.clip(expected, 0, 1), atol=2e-6)


def test_nearest_takes_the_pixel_under_the_centre():
    pixels = np.arange(6, dtype=np.float32)[None, :, None] / 6 + np.zeros(
        (2, 6, 3), "f"
    )
    resized = resize(pixels, (2, 3), filter="nearest")
    np.testing.assert_array_equal(resized, pixels[:, 1::2])
    resized = resize(pixels, (4, 12), filter="nearest")
    np.testing.assert_array_equal(resized, pixels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("depth", ["float", "8"])
@pytest.mark.parametrize("shape", [(7, 11), (23, 61), (50, 37), (3, 100)])
def test_nearest_is_pillows(shape, depth):
    samples = np.random.default_rng(2).integers(0, 256, (23, 37, 3), np.uint8)
    theirs = Image.fromarray(samples).resize(shape[::-1], Image.Resampling.NEAREST)
    resized = resize(np.float32(samples) / 255, shape, filter="nearest", depth=depth)
    np.testing.assert_array_equal(resized, np.float32(np.asarray(theirs)) / 255)


def covered(length, count):
    """The matrix of the mean over what each new, larger pixel covers."""
    matrix = [[Fraction(0)] * length for _ in range(count)]
    side = Fraction(length, count)
    for row in range(count):
        for column in range(length):
            end = min((row + 1) * side, Fraction(column + 1))
            matrix[row][column] = max(end - max(row * side, column), 0) / side
    return np.asarray(matrix, np.float64)


@pytest.mark.parametrize("shape", [(7, 11), (22, 36), (1, 1), (23, 12), (46, 5)])
def test_area_is_the_mean_over_what_a_pixel_covers(shape):
    pixels = np.random.default_rng(3).random((23, 37, 2), np.float32)
    rows, columns = (
        covered(a, b) if b < a else weights(a, b, "bilinear", False)
        for a, b in zip((23, 37), shape, strict=True)
    )
    expected = np.einsum("ih,hwc,jw->ijc", rows, pixels.astype(np.float64), columns)
    for antialias in (True, False):
        resized = resize(pixels, shape, filter="area", antialias=antialias)
        np.testing.assert_allclose(resized, expected, atol=1e-6)


@quick
@given(st.tuples(*[st.integers(1, 60)] * 4))
def test_area_keeps_the_sum_and_the_regions(sizes):
    shape = (min(sizes[0], sizes[2]), min(sizes[1], sizes[3]))
    labels = np.random.default_rng(0).integers(0, 3, sizes[:2])
    masks = np.eye(3, dtype=np.float32)[labels]
    resized = resize(masks, shape, filter="area")
    np.testing.assert_allclose(resized.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(
        resized.mean((0, 1)), masks.mean((0, 1)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "bilinear", "box"])
@pytest.mark.parametrize("shape", [(7, 11), (61, 50), (12, 80)])
def test_eight_bits_are_pillows_own(filter, shape):
    samples = np.random.default_rng(4).integers(0, 256, (23, 37, 3), np.uint8)
    theirs = Image.fromarray(samples).resize(
        shape[::-1], Image.Resampling[filter.upper()]
    )
    pixels = np.float32(samples) / 255
    resized = resize(pixels, shape, filter=filter, depth="8")
    np.testing.assert_array_equal(resized, np.float32(np.asarray(theirs)) / 255)


def test_eight_bits_of_what_pillow_does_not_resize():
    pixels = np.random.default_rng(5).random((20, 30), np.float32)
    for shape, options in [
        ((20, 30), {"filter": "lanczos"}),
        ((9, 40), {"filter": "area"}),
        ((9, 40), {"filter": "bicubic", "antialias": False}),
    ]:
        exact = np.float64(resize(pixels, shape, **options))
        steps = resize(pixels, shape, depth="8", **options)
        np.testing.assert_array_equal(steps, np.float32(np.rint(exact * 255)) / 255)


@pytest.mark.parametrize("antialias", [True, False])
def test_resize_cuts_off_what_a_filter_overshoots(antialias):
    step = np.zeros((16, 16, 3), np.float32)
    step[:, 8:] = 1
    resized = resize(step, (40, 40), filter="lanczos", antialias=antialias)
    assert resized.min() == 0
    assert resized.max() == 1


@quick
@given(
    st.sampled_from(FILTERS),
    st.booleans(),
    st.tuples(*[st.integers(2, 40)] * 4),
    st.floats(0, 1, width=32),
)
def test_a_constant_stays_constant(filter, antialias, sizes, value):
    constant = np.full(sizes[:2], value, np.float32)
    resized = resize(constant, sizes[2:], filter=filter, antialias=antialias)
    assert resized.shape == sizes[2:]
    np.testing.assert_allclose(resized, value, atol=3e-7)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("antialias", [True, False])
def test_the_same_size_is_the_identity_and_a_copy(filter, antialias):
    pixels = np.random.default_rng(0).random((9, 13, 3), np.float32)
    resized = resize(pixels, (9, 13), filter=filter, antialias=antialias)
    np.testing.assert_array_equal(resized, pixels)
    assert not np.shares_memory(resized, pixels)


@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "bilinear", "box"])
def test_shrinking_keeps_the_mean_only_if_antialiased(filter):
    stripes = np.zeros((64, 64), np.float32)
    stripes[:, ::4] = 1
    smooth = resize(stripes, (16, 16), filter=filter)
    assert abs(smooth.mean() - 0.25) < 0.01
    aliased = resize(stripes, (16, 16), filter=filter, antialias=False)
    assert abs(aliased.mean() - 0.25) > 0.1


def test_opacity_and_colour_are_resized_alike():
    plane = np.random.default_rng(1).random((20, 30), np.float32)
    for antialias in (True, False):
        alone = resize(plane, (11, 50), filter="bicubic", antialias=antialias)
        colour = np.repeat(plane[..., None], 3, -1)
        together = resize(colour, (11, 50), filter="bicubic", antialias=antialias)
        np.testing.assert_array_equal(together, np.repeat(alone[..., None], 3, -1))


def test_working_size_of_each_rule():
    shape = (300, 400)
    assert working_size(shape, 512, "long") == (384, 512)
    assert working_size(shape, 512, "short") == (512, 683)
    assert working_size(shape, 512, "width") == (384, 512)
    assert working_size(shape, 512, "height") == (512, 683)
    assert working_size(shape, 512, "area") == (443, 591)
    assert working_size(shape, 0, "short") == (300, 400)


def test_working_size_rounds_down_as_floating_point_does():
    def down(shape, size, rule):
        return working_size(shape, size, rule, 1, rounding="down")

    assert down((33, 64), 32, "width") == (16, 32)
    assert down((300, 400), 512, "short") == (512, 682)  # 682.67
    assert down((300, 400), 512, "area") == (443, 591)  # 443.4, 591.2
    assert down((400, 640), 500, "area") == (395, 632)  # 395.3, 632.5
    # 512/98 is cut off in the last place, so that 49 times it is below 256.
    assert down((49, 98), 512, "long") == (255, 512)


def test_small_pictures_stay_if_they_are_not_enlarged():
    def kept(size, rule):
        return working_size((300, 400), size, rule, enlarge=False)

    assert kept(512, "long") == (300, 400)
    assert kept(200, "long") == (150, 200)
    assert kept(350, "long") == (263, 350)
    assert kept(350, "short") == (300, 400)
    assert kept(346, "area") == working_size((300, 400), 346, "area")  # 346.4
    assert kept(347, "area") == (300, 400)
    assert kept(0, "width") == (300, 400)


def test_working_size_rounds_halves_up():
    assert working_size((33, 64), 32, "width") == (17, 32)  # 16.5
    assert working_size((35, 64), 32, "width") == (18, 32)  # 17.5


@quick
@given(sides, sides, st.integers(16, 4000), st.sampled_from(RULES[:4]))
def test_working_size_keeps_the_aspect_to_the_nearest_pixel(h, w, size, rule):
    side = {"long": max(h, w), "short": min(h, w), "width": w, "height": h}[rule]
    exact = Fraction(h * size, side), Fraction(w * size, side)
    if min(exact) < MIN_SIDE - Fraction(1, 2):
        with pytest.raises(RequestError, match="at least 16 px"):
            working_size((h, w), size, rule)
        return
    made = working_size((h, w), size, rule)
    assert size in made
    assert all(abs(a - b) <= Fraction(1, 2) for a, b in zip(made, exact, strict=True))


@quick
@given(sides, sides, st.integers(16, 4000))
def test_area_is_the_square_of_the_size(h, w, size):
    try:
        rows, columns = working_size((h, w), size, "area")
    except RequestError:
        assert min(h / w, w / h) * size**2 < 16**2
        return
    assert abs(rows - size * math.sqrt(h / w)) <= 0.51
    assert abs(columns - size * math.sqrt(w / h)) <= 0.51


@pytest.mark.parametrize(
    ("shape", "size"), [((10, 4000), 512), ((15, 15), 0), ((100, 100), 8)]
)
def test_sizes_too_small_for_the_network_are_refused(shape, size):
    with pytest.raises(RequestError, match="at least 16 px"):
        working_size(shape, size, "long")


def test_a_negative_size_is_refused():
    with pytest.raises(RequestError, match="found -1"):
        working_size((64, 64), -1, "long")


def test_crop_takes_the_centre():
    pixels = np.arange(6 * 9, dtype=np.float32).reshape(6, 9)
    np.testing.assert_array_equal(crop(pixels, (10, 10)), pixels[:, 1:7])
    np.testing.assert_array_equal(crop(pixels, (10, 30)), pixels[1:4])
    np.testing.assert_array_equal(crop(pixels, (2, 3)), pixels)


@quick
@given(*[st.integers(1, 60)] * 2, *[st.integers(1, 4000)] * 2)
def test_crop_is_the_largest_part_of_the_aspect(h, w, rows, columns):
    part = crop(np.zeros((h, w, 3), np.float32), (rows, columns))
    kept_h, kept_w = part.shape[:2]
    if w * rows > h * columns:
        assert kept_h == h
        kept, exact = kept_w, Fraction(h * columns, rows)
    else:
        assert kept_w == w
        kept, exact = kept_h, Fraction(w * rows, columns)
    assert abs(kept - max(exact, 1)) <= Fraction(1, 2)
