"""Label images as people make them, soft masks, and which style each region takes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from nst_jax.errors import RequestError
from nst_jax.images.labels import Masks, check_aspect, pair, read, resize

COLOURS = [
    *((0, 0, 0), (0, 0, 255), (255, 0, 0), (255, 0, 255)),
    *((128, 128, 128), (0, 255, 0), (255, 255, 0), (255, 255, 255)),
]  # from dark to light


def drawing(count, scale=1):
    """Ellipses in `count` colours on the darkest, 256x192."""
    image = Image.new("RGB", (256 * scale, 192 * scale))
    pen, generator = ImageDraw.Draw(image), np.random.default_rng(5)
    for index, colour in enumerate(COLOURS[1:count]):
        x, y = 12 + 62 * (index % 4), 20 + 85 * (index // 4)
        wide, high = generator.uniform(35, 52, 2)
        box = (x * scale, y * scale, (x + wide) * scale, (y + high) * scale)
        pen.ellipse(box, fill=colour)
    return image if scale == 1 else image.resize((256, 192), Image.Resampling.LANCZOS)


def as_jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def saved(tmp_path, picture, name="mask.png"):
    if not isinstance(picture, Image.Image):
        samples = np.asarray(picture)
        if samples.dtype != np.uint8:
            samples = np.rint(samples * 255).astype(np.uint8)
        picture = Image.fromarray(samples)
    path = tmp_path / name
    picture.save(path)
    return str(path)


def masks_in(tmp_path, *pictures):
    paths = [saved(tmp_path, each, f"{k}.png") for k, each in enumerate(pictures)]
    return read(paths, max_pixels=10**6)


def message(excinfo):
    text = str(excinfo.value)
    assert "\n" not in text
    return text


def refused(match, function, *args, **kwargs):
    with pytest.raises(RequestError, match=match) as excinfo:
        function(*args, **kwargs)
    return message(excinfo)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_a_label_image_gives_one_mask_for_each_colour(tmp_path, count):
    samples = np.asarray(drawing(count))
    masks = masks_in(tmp_path, samples)
    assert masks.colours == tuple(COLOURS[:count])
    for region, colour in enumerate(COLOURS[:count]):
        exact = (samples == colour).all(-1)
        np.testing.assert_array_equal(masks.values[..., region], exact)
    assert masks.digests[0].startswith("0.png sha256 ")
    assert len(masks.digests[0].split()[-1]) == 64


ROUGH = {
    "antialiased": lambda count: drawing(count, 4),
    "blurred": lambda count: drawing(count).filter(ImageFilter.GaussianBlur(2)),
    **{
        f"jpeg {quality}": lambda count, quality=quality: as_jpeg(
            drawing(count), quality
        )
        for quality in (95, 75, 50, 30)
    },
    "antialiased jpeg": lambda count: as_jpeg(drawing(count, 4), 60),
}


@pytest.mark.parametrize("rough", ROUGH)
@pytest.mark.parametrize("count", [2, 5, 8])
def test_noise_and_soft_edges_make_no_new_labels(tmp_path, rough, count):
    exact = masks_in(tmp_path, drawing(count))
    masks = masks_in(tmp_path, ROUGH[rough](count))
    assert len(masks.colours) == count
    assert set(np.unique(masks.values)) == {0, 1}
    assert (masks.values.sum(-1) == 1).all()
    np.testing.assert_allclose(masks.colours, COLOURS[:count], atol=6)
    # Only edges may differ: less than a pixel along them.
    assert (masks.values != exact.values).any(-1).mean() < 0.012


def test_a_blend_of_two_labels_is_not_a_third(tmp_path):
    samples = np.zeros((64, 96, 3), np.uint8)
    samples[:, 32:] = 255
    samples[:, 64:] = 128
    samples[:, 31] = 120  # between black and white, where no grey is
    samples[:, 32] = 200
    masks = masks_in(tmp_path, samples)
    assert masks.colours == ((0, 0, 0), (128, 128, 128), (255, 255, 255))
    assert masks.values[:, :31, 0].all()
    assert masks.values[:, 32:64, 2].all()
    assert not masks.values[:, :60, 1].any()


def test_a_few_wrong_pixels_are_no_label(tmp_path):
    samples = np.zeros((64, 64, 3), np.uint8)
    samples[:, 32:] = 255
    samples[5, 5] = (255, 0, 0)
    masks = masks_in(tmp_path, samples)
    assert masks.colours == ((0, 0, 0), (255, 255, 255))
    assert masks.values[5, 5, 0] == 1


def test_an_index_map_is_a_label_image(tmp_path):
    samples = np.repeat(np.arange(4, dtype=np.uint8), 16)[:, None].repeat(64, 1)
    masks = masks_in(tmp_path, samples)
    assert masks.colours == tuple((k, k, k) for k in range(4))
    np.testing.assert_array_equal(masks.values.argmax(-1), samples)


def test_a_tiny_label_image_needs_no_flat_areas(tmp_path):
    samples = np.asarray([[0, 255], [255, 0]], np.uint8)
    masks = masks_in(tmp_path, samples)
    np.testing.assert_array_equal(masks.values[..., 1], samples / 255)


def nine(shape=(90, 90)):
    samples = np.zeros((*shape, 3), np.uint8)
    for k in range(9):
        samples[10 * k : 10 * k + 10] = (28 * k, 255 - 28 * k, 60 * (k % 3))
    return samples


def gradient():
    return np.linspace(0, 1, 128)[None, :].repeat(96, 0)


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (np.full((40, 40, 3), 90, np.uint8), "only one was found"),
        (nine(), "at most 8 regions"),
        (gradient(), "soft masks"),
        (np.random.default_rng(0).random((96, 96, 3)), "only one|flat colours"),
    ],
    ids=["one colour", "nine colours", "gradient", "noise"],
)
def test_what_is_no_label_image_is_refused(tmp_path, picture, text):
    path = saved(tmp_path, picture)
    assert repr(path) in refused(text, read, [path], max_pixels=10**6)


def ramp(shape=(30, 40)):
    return np.linspace(0, 1, shape[1], dtype=np.float32)[None].repeat(shape[0], 0)


def test_soft_masks_are_brightness_times_opacity(tmp_path):
    light = np.full((30, 40, 4), 255, np.uint8)
    light[..., 3] = np.rint(ramp() * 255)
    grey = np.full((30, 40), 51, np.uint8)
    masks = masks_in(tmp_path, light, grey)
    assert masks.colours == ()
    assert len(masks.digests) == 2
    exact = np.stack([light[..., 3] / 255, np.full((30, 40), 0.2)], -1)
    exact /= np.maximum(exact.sum(-1, keepdims=True), 1)
    np.testing.assert_allclose(masks.values, exact, atol=1e-6)
    assert masks.values.sum(-1).max() <= 1 + 1e-6
    assert masks.values[0, 0].sum() == pytest.approx(0.2)  # not scaled up


def test_soft_masks_of_several_sizes_become_the_largest(tmp_path):
    sizes = ((15, 20), (60, 80), (30, 40))
    masks = masks_in(tmp_path, *(ramp(shape) * 0.3 for shape in sizes))
    assert masks.values.shape == (60, 80, 3)
    for region in range(3):
        np.testing.assert_allclose(
            masks.values[..., region], ramp((60, 80)) * 0.3, atol=0.012
        )


def test_broken_masks_are_refused(tmp_path):
    black = saved(tmp_path, np.zeros((30, 40)), "black.png")
    soft = saved(tmp_path, ramp(), "soft.png")
    wide = saved(tmp_path, ramp((30, 42)), "wide.png")
    assert "black.png" in refused(
        "black everywhere", read, [soft, black], max_pixels=9999
    )
    assert "soft.png" in refused("aspect ratio", read, [soft, wide], max_pixels=9999)
    refused("at most 8", read, [soft] * 9, max_pixels=9999)
    refused("does not exist", read, [str(tmp_path / "no\nsuch")], max_pixels=9999)
    refused("more than the 900 px", read, [soft, soft], max_pixels=900)


def test_aspects_may_differ_by_two_per_cent():
    check_aspect((300, 400), (150, 200))
    check_aspect((100, 101), (2000, 2000))
    check_aspect((101, 100), (2000, 2000))
    for mask in ((100, 103), (103, 100), (400, 300)):
        text = refused("aspect", check_aspect, mask, (2000, 2000), "style_mask", "x")
        assert f"{mask[1]}x{mask[0]}" in text
        assert text.startswith("style_mask")


@pytest.mark.parametrize("shape", [(13, 17), (48, 64), (150, 90)])
def test_resized_masks_keep_their_weight(shape):
    values = np.random.default_rng(0).dirichlet([0.2] * 3, (48, 64)).astype(np.float32)
    resized = resize(values, shape)
    assert resized.shape == (*shape, 3)
    np.testing.assert_allclose(resized.sum(-1), 1, atol=1e-5)
    if shape[0] < 48:
        np.testing.assert_allclose(resized.mean((0, 1)), values.mean((0, 1)), atol=1e-6)


def masks_of(*colours, shape=(6, 9)):
    """Label masks in which region k covers the columns k, k + r, ..."""
    count = len(colours)
    index = np.arange(shape[1]) % count
    values = (index[None, :, None] == np.arange(count)).repeat(shape[0], 0)
    return Masks(values.astype(np.float32), tuple(colours), ("a sha256 0",))


def soft_of(count, shape=(6, 9)):
    values = np.full((*shape, count), 1 / count, np.float32)
    return Masks(values, (), ("a sha256 0",) * count)


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_one_style_without_masks_is_for_every_region():
    assert pair(masks_of(RED, GREEN, BLUE), (), 1, (3.0,)) == ((), ((1.0, 1.0, 1.0),))


def test_as_many_styles_as_regions_are_one_for_each():
    given, shares = pair(soft_of(3), (), 3, (0.2, 5.0, 1.0))
    assert given == ()
    np.testing.assert_array_equal(shares, np.eye(3))


def test_regions_meet_by_their_colours():
    content = masks_of(BLUE, RED, GREEN)
    style = masks_of((250, 9, 4), (3, 248, 6), (0, 6, 249))
    (values,), shares = pair(content, (style,), 1, (1.0,))
    np.testing.assert_array_equal(values, style.values[..., [2, 0, 1]])
    assert shares == ((1.0, 1.0, 1.0),)


def test_near_colours_meet_with_the_nearest():
    content = masks_of((1, 1, 1), (2, 2, 2), (30, 30, 30))
    style = masks_of((30, 30, 30), (1, 1, 1), (2, 2, 2))
    (values,), _ = pair(content, (style,), 1, (1.0,))
    np.testing.assert_array_equal(values, style.values[..., [1, 2, 0]])


def test_soft_masks_meet_in_their_order():
    content, style = soft_of(2), masks_of(RED, GREEN)._replace(colours=())
    (values,), shares = pair(content, (style,), 1, (1.0,))
    np.testing.assert_array_equal(values, style.values)
    assert shares == ((1.0, 1.0),)


def test_several_styles_share_a_region_by_their_weights():
    content = masks_of(RED, GREEN, BLUE)
    first, second = masks_of(GREEN, RED), masks_of(GREEN, BLUE, (255, 255, 255))
    values, shares = pair(content, (first, second), 2, (1.0, 3.0))
    np.testing.assert_allclose(shares, [[1, 0.25, 0], [0, 0.75, 1]])
    np.testing.assert_array_equal(values[0][..., :2], first.values[..., ::-1])
    assert not values[0][..., 2].any()
    assert not values[1][..., 0].any()
    np.testing.assert_array_equal(values[1][..., 1:], second.values[..., :2])


def test_one_weight_stands_for_all_styles():
    content = masks_of(RED, GREEN)
    _, shares = pair(content, (content, content, content), 3, (7.0,))
    np.testing.assert_allclose(shares, np.full((3, 2), 1 / 3))


def bare():
    masks = soft_of(2)
    masks.values[2, 5:7] = 0
    return masks


@pytest.mark.parametrize(
    ("content", "styles", "count", "weights", "text"),
    [
        (soft_of(3), (), 2, (1.0,), "one, or as many as the 3 regions"),
        (masks_of(RED, GREEN), (masks_of(RED, GREEN, BLUE),), 1, (1.0,), "got 3"),
        (soft_of(3), (soft_of(2),), 1, (1.0,), "the 3 regions"),
        (masks_of(RED, GREEN), (masks_of(RED, BLUE),), 1, (1.0,), "#00ff00"),
        (masks_of(RED, GREEN), (soft_of(2),), 1, (1.0,), "both be one label image"),
        (soft_of(2), (soft_of(2),), 2, (1.0,), "each of the 2 styles, got 1"),
        (bare(), (), 1, (1.0,), r"3\.70% are black .* column 5, row 2"),
        (soft_of(2), (), 2, (1.0, 0.0), "region 2 .* --style_weights is above 0"),
    ],
)
def test_masks_that_do_not_go_together_are_refused(
    content, styles, count, weights, text
):
    refused(text, pair, content, styles, count, weights)


def test_a_style_may_have_pixels_without_a_region():
    assert pair(soft_of(2), (bare(),), 1, (1.0,))[1] == ((1.0, 1.0),)
