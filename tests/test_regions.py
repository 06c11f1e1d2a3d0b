"""Regions found in common: the same thing in both pictures has the same label."""

import numpy as np
import pytest

from nst_jax import regions
from nst_jax.errors import RequestError
from nst_jax.images import clusters

KINDS = np.random.default_rng(0).normal(size=(6, 24)).astype(np.float32)


def features(kinds, seed, noise=0.4):
    """Maps at two layers, the second half as fine, of what lies where."""
    generator = np.random.default_rng(seed)
    fine = KINDS[kinds] + noise * generator.normal(size=(*kinds.shape, 24))
    coarse = fine[::2, ::2, :12] * 3 + 5
    return [fine.astype(np.float32), coarse.astype(np.float32)]


def stripes(*kinds, turned=False, side=36):
    plan = np.repeat(kinds, side // len(kinds))[:, None].repeat(side, 1)
    return plan.T if turned else plan


def names(labels, plan):
    """Which label each kind has; it must have one only, but for edges."""
    found = {}
    for kind in np.unique(plan):
        counts = np.bincount(labels[plan == kind])
        assert counts.max() > 0.85 * counts.sum()
        found[int(kind)] = int(counts.argmax())
    return found


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_same_kind_has_the_same_label_wherever_it_lies(count):
    plans = stripes(*range(count)), stripes(*reversed(range(count)), turned=True)
    maps = [features(plan, seed) for seed, plan in enumerate(plans)]
    found = regions.common(*maps, count, seed=0, position=0.0)
    first, second = (names(*each) for each in zip(found, plans, strict=True))
    assert first == second
    assert sorted(first.values()) == list(range(count))


def test_pictures_may_differ_in_size_and_in_everything_at_once():
    plans = stripes(0, 1, 2), stripes(2, 0, 1, side=60)
    content, style = (features(plan, seed) for seed, plan in enumerate(plans))
    style = [maps * 7 - 20 for maps in style]
    found = regions.common(content, style, 3, seed=0, position=0.0)
    assert found[1].shape == (60, 60)
    assert names(found[0], plans[0]) == names(found[1], plans[1])


def test_what_only_one_picture_has_is_no_region():
    plans = stripes(0, 1, 3), stripes(0, 1, 1)
    maps = [features(plan, seed) for seed, plan in enumerate(plans)]
    for count in (3, 4):
        first, second = regions.common(*maps, count, seed=0, position=0.0)
        assert set(np.unique(first)) == set(np.unique(second))


def test_a_position_tells_like_things_apart():
    maps = [features(np.zeros((36, 36), int), seed) for seed in (0, 1)]
    first, second = regions.common(*maps, 2, seed=0, position=30.0)
    assert (first == second).mean() > 0.9
    corners = first[0, 0], first[0, -1], first[-1, 0], first[-1, -1]
    assert len(set(corners)) == 2


def test_specks_go():
    plan = stripes(0, 1)
    plan[5, 5], plan[30, 8] = 1, 0
    found, _ = regions.common(
        features(plan, 0), features(stripes(1, 0), 1), 2, seed=0, position=0.0
    )
    assert len(np.unique(found[:16])) == 1
    assert len(np.unique(found[20:])) == 1


def test_one_seed_gives_one_answer():
    maps = [features(stripes(0, 1, 2, 3), seed) for seed in (0, 1)]
    first, again = (regions.common(*maps, 4, seed=3) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [1, 9])
def test_counts_out_of_range_are_refused(count):
    maps = features(stripes(0, 1), 0)
    with pytest.raises(RequestError, match="from 2 to 8, got"):
        regions.common(maps, maps, count, seed=0)


def test_flat_pictures_are_refused_without_a_warning():
    flat = [np.zeros((16, 16, 8), np.float32), np.ones((8, 8, 4), np.float32)]
    with pytest.raises(RequestError, match="in both pictures"):
        regions.common(flat, flat, 3, seed=0, position=0.0)


def test_the_label_image_is_one_that_masks_are_read_from():
    labels = stripes(0, 1, 2, 3, 4, 5).astype(np.int64)
    image = regions.label_image(labels, (288, 324))
    assert image.shape == (288, 324, 3)
    found, colours = clusters.labelled(image, "it")
    assert colours == regions.COLOURS[:6]
    np.testing.assert_array_equal(found[24::48, 162], range(6))


def test_the_colours_are_in_the_order_that_masks_have():
    luminance = np.asarray(regions.COLOURS) @ [0.299, 0.587, 0.114]
    assert (np.diff(luminance) > 0).all()
    steps = np.asarray(regions.COLOURS)[:, None] - np.asarray(regions.COLOURS)
    distances = np.linalg.norm(steps, axis=-1)
    assert distances[~np.eye(8, dtype=bool)].min() > 2 * clusters.APART
