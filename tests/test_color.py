"""Colour matching against its formulas: moments exact, chroma kept, never NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nst_jax import color

LINEAR = ("linear-cholesky", "linear-symmetric", "linear-pca")
METHODS = (*LINEAR, "histogram")
EVERY = (*METHODS, "luminance")
YUV = np.asarray(  # Rec. 601
    [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
)
quick = settings(deadline=None, max_examples=40)
pictures = arrays.arrays(
    np.float32, (7, 5, 3), elements=st.floats(0, 1, width=32), fill=st.nothing()
)
pixels = arrays.arrays(np.uint8, (6, 8, 3))


def picture(seed, shape=(60, 80)):
    """Blotches whose channels depend on each other, within 0..1."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(3, 3)) * 0.12
    values = generator.normal(size=(*shape, 3)) @ mixing + generator.uniform(0.3, 0.7)
    return np.clip(values, 0, 1).astype(np.float32)


def moments(image, weight=None):
    colours = image.reshape(-1, 3).astype(np.float64)
    share = None if weight is None else weight.reshape(-1).astype(np.float64)
    return (
        np.average(colours, axis=0, weights=share),
        np.cov(colours.T, aweights=share, ddof=0),
    )


@pytest.mark.parametrize("method", LINEAR)
def test_linear_matching_gives_the_reference_mean_and_covariance(method):
    source, reference = picture(0), picture(1, (31, 47))
    matched = color.match(source, reference, method)
    for found, wanted in zip(moments(matched), moments(reference), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_each_linear_method_is_its_matrix():
    source, reference = picture(2), picture(3)
    c, r = moments(source)[1], moments(reference)[1]

    def matrix(method):
        ends = np.linalg.lstsq(
            (source - moments(source)[0]).reshape(-1, 3),
            (
                color.match(source, reference, method).astype(np.float64)
                - moments(reference)[0]
            ).reshape(-1, 3),
            rcond=None,
        )
        return ends[0].T

    lower = matrix("linear-cholesky")
    np.testing.assert_allclose(np.triu(lower, 1), 0, atol=1e-5)
    assert (np.diag(lower) > 0).all()
    symmetric = matrix("linear-symmetric")
    np.testing.assert_allclose(symmetric, symmetric.T, atol=1e-5)
    assert np.linalg.eigvalsh(symmetric).min() > 0
    values, vectors = np.linalg.eigh(c)
    whitening = vectors @ np.diag(values**-0.5) @ vectors.T
    values, vectors = np.linalg.eigh(r)
    expected = vectors @ np.diag(values**0.5) @ vectors.T @ whitening
    np.testing.assert_allclose(matrix("linear-pca"), expected, atol=1e-4)
    for method in LINEAR:
        a = matrix(method)
        np.testing.assert_allclose(a @ c @ a.T, r, atol=1e-6)


def test_histogram_matching_gives_each_channel_the_reference_distribution():
    source, reference = picture(4), picture(5, (50, 96))
    matched = color.match(source, reference, "histogram")
    for channel in range(3):
        found, wanted = matched[..., channel].ravel(), reference[..., channel].ravel()
        quantiles = np.linspace(0.01, 0.99, 41)
        np.testing.assert_allclose(
            np.quantile(found, quantiles), np.quantile(wanted, quantiles), atol=2e-3
        )
        assert wanted.min() <= found.min() <= found.max() <= wanted.max()
    correlation = np.corrcoef(matched.reshape(-1, 3).T)
    np.testing.assert_allclose(
        correlation, np.corrcoef(reference.reshape(-1, 3).T), atol=0.05
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_matched_to_itself_stays(method):
    image = picture(6)
    np.testing.assert_allclose(color.match(image, image, method), image, atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_matching_twice_changes_little_more(method):
    source, reference = picture(7), picture(8)
    once = color.match(source, reference, method)
    twice = color.match(once, reference, method)
    atol = 0.02 if method == "histogram" else 1e-4
    assert np.abs(twice - once).mean() < atol
    assert np.abs(once - source).mean() > 5 * atol


@pytest.mark.parametrize("method", LINEAR)
def test_weights_say_which_pixels_count(method):
    source, reference = picture(9), picture(10)
    weight, other = (
        np.random.default_rng(seed).random((60, 80), np.float32) ** 4 for seed in (1, 2)
    )
    matched = color.match(source, reference, method, weight, other)
    found, wanted = moments(matched, weight), moments(reference, other)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-6)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-6)


def test_histogram_weights_leave_out_what_weighs_nothing():
    source, reference = picture(11), picture(12)
    weight = np.zeros((60, 80), np.float32)
    weight[:, :40] = 1
    part = color.match(source[:, :40], reference[:, :40], "histogram")
    whole = color.match(source, reference, "histogram", weight, weight)
    np.testing.assert_allclose(whole[:, :40], part, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_weighs_nothing_at_all_stays(method):
    image, nothing = picture(13), np.zeros((60, 80), np.float32)
    assert color.match(image, picture(14), method, nothing) is image
    assert color.match(image, picture(14), method, None, nothing) is image


def grey(seed):
    return np.repeat(picture(seed)[..., :1], 3, axis=-1)


def constant(value):
    return np.full((60, 80, 3), value, np.float32)


PLAIN = {
    "grey": grey(15),
    "black": constant(0),
    "white": constant(1),
    "one colour": constant(0) + np.asarray([0.2, 0.5, 0.9], np.float32),
    "two colours": np.where(picture(16) > 0.5, 1, 0).astype(np.float32),
    "ordinary": picture(17),
}


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("first", PLAIN)
@pytest.mark.parametrize("second", PLAIN)
def test_grey_and_constant_pictures_give_finite_pictures(method, first, second):
    source, reference = PLAIN[first], PLAIN[second]
    regions = np.zeros((60, 80, 2), np.float32)
    regions[:, :30, 0] = 1
    for made in (
        color.before(source, reference, method),
        color.after(source, reference, method),
        color.before(source, reference, method, regions=regions),
        color.before(source, reference, method, style_regions=regions, regions=regions),
        color.after(source, reference, method, regions=regions),
    ):
        assert np.isfinite(made).all()
        assert made.dtype == np.float32
        assert made.min() >= 0
        assert made.max() <= 1


@pytest.mark.parametrize("method", EVERY)
def test_a_grey_content_gives_a_grey_result(method):
    made = color.after(picture(18), grey(19), method)
    assert np.abs(made - made.mean(-1, keepdims=True)).max() < 4 / 255
    assert made.std() > 0.02


def chroma(image):
    return image @ YUV[1:].T


@quick
@given(pixels, pixels)
def test_luminance_keeps_the_contents_chroma_to_one_step(content, result):
    content, result = (each.astype(np.float32) / 255 for each in (content, result))
    made = color.after(result, content, "luminance")
    written = np.rint(made * 255) / 255
    assert np.abs(chroma(written) - chroma(content)).max() <= 1 / 255
    between = [written - np.roll(written, 1, -1), content - np.roll(content, 1, -1)]
    assert np.abs(between[0] - between[1]).max() <= 1.01 / 255


@quick
@given(pictures, pictures)
def test_luminance_comes_as_near_the_results_as_the_chroma_allows(content, result):
    made = color.after(result, content, "luminance").astype(np.float64)
    wanted, found = result @ YUV[0], made @ YUV[0]
    at_edge = (made.min(-1) < 1e-6) | (made.max(-1) > 1 - 1e-6)
    assert (np.abs(wanted - found) < 1e-6)[~at_edge].all()
    np.testing.assert_allclose(
        found[at_edge & (made.max(-1) > 1 - 1e-6) & (made.min(-1) > 0)].clip(max=1),
        found[at_edge & (made.max(-1) > 1 - 1e-6) & (made.min(-1) > 0)],
    )
    again = color.after(made.astype(np.float32), content, "luminance")
    np.testing.assert_allclose(again, made, atol=1e-6)


def test_luminance_before_has_the_contents_mean_and_deviation():
    style, content = picture(20), picture(21, (30, 50)) / 2 + np.float32(0.25)
    made = color.before(style, content, "luminance")
    assert (made[..., 0] == made[..., 2]).all()
    wanted = content @ YUV[0]
    assert abs(made.mean() - wanted.mean()) < 1e-4
    assert abs(made.std() - wanted.std()) < 1e-3
    order = np.argsort((style @ YUV[0]).ravel())
    assert (np.diff(made[..., 0].ravel()[order]) > -1e-6).all()


def halves(shape=(60, 80)):
    regions = np.zeros((*shape, 2), np.float32)
    regions[:, : shape[1] // 2, 0] = 1
    regions[:, shape[1] // 2 :, 1] = 1
    return regions


@pytest.mark.parametrize("method", METHODS)
def test_regions_are_matched_one_by_one(method):
    style, content = picture(22), picture(23)
    content[:, 40:] = content[:, 40:, ::-1] * 0.5
    made = color.before(
        style, content, method, style_regions=halves(), regions=halves()
    )
    result = color.after(style, content, method, regions=halves())
    for part in (np.s_[:, :40], np.s_[:, 40:]):
        alone = np.clip(color.match(style[part], content[part], method), 0, 1)
        np.testing.assert_allclose(made[part], alone, atol=1e-5)
        np.testing.assert_allclose(result[part], alone, atol=1e-5)


@pytest.mark.parametrize("method", EVERY)
def test_a_whole_style_takes_the_colours_of_the_regions_it_is_for(method):
    style, content = picture(24), picture(25)
    content[:, 40:] *= 0.5
    made = color.before(style, content, method, regions=halves(), shares=(0.0, 1.0))
    alone = color.before(style, content[:, 40:], method)
    np.testing.assert_allclose(made, alone, atol=1e-5)
    every = color.before(style, content, method, regions=halves())
    whole = color.before(style, content, method)
    np.testing.assert_allclose(every, whole, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_where_no_mask_is_colours_stay(method):
    style, content = picture(26), picture(27)
    regions = halves()
    regions[:30] = 0
    for made in (
        color.before(style, content, method, style_regions=regions, regions=halves()),
        color.after(style, content, method, regions=regions),
    ):
        np.testing.assert_array_equal(made[:30], style[:30])
        assert np.abs(made[30:] - style[30:]).mean() > 0.01
