"""What a job is given to look at: sizes at every scale, masks, and what is refused."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax import images, inputs
from nst_jax.errors import RequestError
from nst_jax.images import fitting
from nst_jax.pictures import Pictures, averaged, resized

RED, BLUE, GREEN = (200, 0, 0), (0, 0, 220), (0, 180, 0)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def noise(height, width, seed=0):
    """A picture whose colours change slowly: smooth under every filter."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def save(name, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(name)
    return name


def halves(height, width, left=RED, right=BLUE, at=0.5):
    """A label image of two regions beside one another."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:], pixels[:, : round(width * at)] = right, left
    return pixels


def config(control=None, style_weights=(1.0,), **settings):
    """The settings of a job on content.png and style.png."""
    settings = {"content": "content.png", "style": ("style.png",), **settings}
    return nst_jax.Config(
        inputs=nst_jax.InputConfig(**settings),
        control=nst_jax.config.ControlConfig(**control or {}),
        objective=nst_jax.ObjectiveConfig(style_weights=style_weights),
    )


def job(content=(60, 80), style=(90, 60), more=(), **options):
    """The inputs of a job with pictures of those sizes, and its settings."""
    save("content.png", noise(*content))
    names = ["style.png", "second.png", "third.png"][: 1 + len(more)]
    for seed, (name, shape) in enumerate(zip(names, (style, *more), strict=True), 1):
        save(name, noise(*shape, seed=seed))
    settings = config(style=tuple(names), **options)
    return inputs.read(settings), settings


def refusal(**options):
    with pytest.raises(RequestError) as caught:
        job(**options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def rules(**changes):
    usual = fitting.Rules(512, "long", "nearest", "all", "keep", 16)
    return usual._replace(**changes)


@pytest.mark.parametrize(
    ("fit", "goal"),
    [
        ("keep", (512, 341)),
        ("width", (768, 512)),
        ("crop", (384, 512)),
        ("stretch", (384, 512)),
    ],
)
def test_shape_of_a_style_in_each_fit(fit, goal):
    def shape(scale, **changes):
        chosen = rules(fit=fit, **changes)
        return fitting.style_shape((900, 600), (384, 512), (384, 512), scale, chosen)

    assert shape(1) == goal
    doubled = shape(2)
    assert all(abs(a - 2 * b) <= 1 for a, b in zip(doubled, goal, strict=True))
    half = fitting.style_shape((900, 600), (192, 256), (384, 512), 1, rules(fit=fit))
    assert all(abs(2 * a - b) <= 1 for a, b in zip(half, goal, strict=True))


@pytest.mark.parametrize("rule", ["long", "short", "width", "height", "area"])
@pytest.mark.parametrize("rounding", ["nearest", "down"])
def test_a_style_at_a_scale_has_the_size_that_its_rule_gives_there(rule, rounding):
    content, style = (717, 1001), (1111, 813)
    chosen = rules(rule=rule, rounding=rounding)
    final = fitting.content_shape(content, chosen)
    for size in (400, 256, 181):
        there = chosen._replace(size=size)
        shape = fitting.content_shape(content, there)
        made = fitting.style_shape(style, shape, final, 1, chosen)
        expected = images.working_size(style, size, rule, rounding=rounding)
        apart = [abs(a - b) for a, b in zip(made, expected, strict=True)]
        # An area is measured on a shape of whole pixels.
        assert max(apart) <= (1 if rule == "area" else 0)


def test_without_a_size_styles_follow_the_content():
    chosen = rules(size=0, rule="short")
    assert fitting.content_shape((300, 400), chosen) == (300, 400)
    made = fitting.style_shape((50, 40), (300, 400), (300, 400), 1, chosen)
    assert made == (400, 320)


@pytest.mark.parametrize("fit", ["keep", "width", "crop"])
def test_smaller_pictures_stay(fit):
    chosen = rules(fit=fit, enlarge="none")
    shape = (384, 512)
    for style in [(60, 80), (30, 40)]:
        assert fitting.style_shape(style, shape, shape, 1, chosen) == style
    larger = fitting.style_shape((3000, 4000), shape, shape, 1, chosen)
    assert larger == shape
    assert fitting.content_shape((60, 80), chosen) == (60, 80)


@pytest.mark.parametrize("fit", ["keep", "width", "crop", "stretch"])
@pytest.mark.parametrize(
    "style", [(10, 4000), (4000, 10), (2, 2), (20, 20), (16, 16000)]
)
def test_a_style_has_what_the_network_needs(fit, style):
    chosen = rules(fit=fit, least=32)
    for shape in [(512, 512), (52, 512), (32, 32)]:
        for scale in (0.01, 1):
            made = fitting.style_shape(style, shape, (512, 512), scale, chosen)
            assert min(made) >= 32
            if fit == "keep" and min(made) > 32:
                assert max(made) == round(max(shape) * scale)
            aspect = style if fit in ("keep", "width") else shape
            exact = max(aspect) / min(aspect) * min(made)
            assert max(made) == pytest.approx(exact, rel=0.02, abs=max(aspect) / 20)


def test_every_scale_is_made_from_the_originals():
    read, settings = job((120, 160), (180, 120), size=100, init="style")
    assert read.shape == (75, 100)
    for shape in [(75, 100), (38, 50)]:
        made = inputs.at(read, shape, settings)
        for found, name, whole in [
            (made.content, "content.png", (120, 160)),
            (made.styles[0], "style.png", (180, 120)),
        ]:
            assert max(found.shape) == shape[1]
            pixels = images.read(name, max_pixels=10**6).pixels
            assert pixels.shape[:2] == whole
            expected = images.resize(pixels, found.shape[:2], filter="lanczos")
            np.testing.assert_array_equal(found, expected)
        assert made.initial.shape == made.content.shape
        assert made.shares == ((1.0,),)
    assert read.content.shape == (75, 100, 3)
    assert [*read.files] == ["content", "style"]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("long", "none", [(384, 512)]),
        ("long", "2", [(96, 128), (192, 256), (384, 512)]),
        ("long", "64,300", [(48, 64), (225, 300), (384, 512)]),
        ("long", "20,300", [(225, 300), (384, 512)]),  # 15 px high: left out
        ("short", "2", [(128, 171), (256, 341), (512, 683)]),
        ("short", "100,300", [(100, 133), (300, 400), (512, 683)]),
        ("area", "100", [(87, 115), (443, 591)]),
    ],
)
def test_shapes_at_each_scale(rule, text, expected):
    save("content.png", noise(60, 80))
    save("style.png", noise(60, 60))
    settings = config(size=512, size_rule=rule)
    settings = dataclasses.replace(settings, solve=nst_jax.SolveConfig(scales=text))
    read = inputs.read(settings)
    assert [*inputs.shapes(read, settings)] == expected
    for shape in expected:
        assert inputs.at(read, shape, settings).content.shape[:2] == shape


def test_settings_of_resizing_reach_every_picture():
    read, settings = job(size=50, resize_depth="8", filter="bilinear", init="style")
    made = inputs.at(read, read.shape, settings)
    for found in (made.content, made.styles[0], made.initial):
        np.testing.assert_array_equal(np.rint(found * 255) / np.float32(255), found)
    theirs = Image.open("content.png").resize((50, 38), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(np.rint(made.content * 255), np.asarray(theirs))


def test_a_style_that_is_stretched_shows_all_of_it():
    # A crop to the content's shape would leave nothing of the upper fifth.
    save("style.png", halves(60, 100, at=0.2).swapaxes(0, 1))
    save("content.png", noise(60, 80))
    for enlarge in ("all", "content", "none"):
        settings = config(size=80, fit="stretch", init="style", enlarge=enlarge)
        made = inputs.read(settings).final
        for found in (made.styles[0], made.initial):
            assert found.shape == (60, 80, 3)
            np.testing.assert_array_equal(found[:9] * 255, np.full((9, 80, 3), RED))
            np.testing.assert_allclose(found[16:, 0, 2] * 255, BLUE[2], atol=1)


@pytest.mark.parametrize(
    ("content", "style", "size"),
    [
        ((40, 400), (60, 60), 320),
        ((400, 40), (16, 600), 320),
        ((32, 32), (900, 700), 32),
        ((64, 64), (3, 4), 64),
        ((64, 64), (2, 300), 64),
    ],
)
@pytest.mark.parametrize("fit", ["keep", "crop", "stretch", "width"])
def test_extreme_pictures(content, style, size, fit):
    read, settings = job(content, style, size=size, fit=fit, init="style")
    for shape in [read.shape, tuple(max(16, side // 2) for side in read.shape)]:
        made = inputs.at(read, shape, settings)
        assert made.content.shape == made.initial.shape == (*shape, 3)
        assert min(made.styles[0].shape[:2]) >= 16
        assert max(made.styles[0].shape) <= 32 * 600


def test_a_panorama_too_low_for_the_network_is_refused():
    text = refusal(content=(40, 400), size=100)
    assert "400x40 px" in text
    assert "100x10 px" in text
    assert "larger --size" in text


def test_masks_travel_with_their_pictures():
    save("regions.png", halves(120, 160, at=0.25))
    save("style_regions.png", halves(90, 60, left=BLUE, right=RED, at=0.5))
    control = {"content_mask": ("regions.png",), "style_mask": ("style_regions.png",)}
    read, settings = job(size=40, control=control)
    # Blue is darker than red, so it is region 0.
    made = inputs.at(read, (30, 40), settings)
    assert made.regions.shape == (30, 40, 2)
    np.testing.assert_array_equal(made.regions[:, :10, 1], 1)
    np.testing.assert_array_equal(made.regions[:, 10:, 0], 1)
    (mask,) = made.style_regions
    assert mask.shape[:2] == made.styles[0].shape[:2]
    np.testing.assert_array_equal(mask[:, :10, 0], 1)
    np.testing.assert_array_equal(mask.sum(-1), 1)
    assert made.shares == ((1.0, 1.0),)
    assert [*read.files] == ["content", "style", "content_mask", "style_mask"]
    assert read.files["style_mask"].startswith("style_regions.png sha256 ")
    coarse = inputs.at(read, (15, 20), settings)
    np.testing.assert_allclose(coarse.regions.mean((0, 1)), [0.75, 0.25])


def test_a_style_is_cropped_with_its_mask():
    save("regions.png", halves(60, 80))
    # The middle half of the style is red, and that is what the crop leaves.
    pixels = np.full((60, 160, 3), BLUE, np.uint8)
    pixels[:, 40:120] = RED
    save("style_regions.png", pixels)
    control = {"content_mask": ("regions.png",), "style_mask": ("style_regions.png",)}
    read, settings = job(style=(60, 160), size=40, fit="crop", control=control)
    made = inputs.at(read, (30, 40), settings)
    np.testing.assert_array_equal(made.style_regions[0][..., 1], 1)


def test_two_styles_with_a_mask_each():
    save("regions.png", halves(60, 80))
    save("one.png", halves(60, 60))
    save("two.png", halves(60, 60, left=GREEN))
    control = {"content_mask": ("regions.png",), "style_mask": ("one.png", "two.png")}
    read, settings = job(
        style=(60, 60),
        more=((60, 60),),
        size=40,
        style_scale=(1.0, 0.5),
        control=control,
        style_weights=(1.0, 3.0),
    )
    made = inputs.at(read, (30, 40), settings)
    # Only the first has red; blue, the darker, is in both.
    assert made.shares == ((0.25, 1.0), (0.75, 0.0))
    assert [mask.shape for mask in made.style_regions] == [(40, 40, 2), (20, 20, 2)]
    assert not made.style_regions[1][..., 1].any()
    names = ["content", "style 1", "style 2"]
    assert [*read.files] == [*names, "content_mask", "style_mask 1", "style_mask 2"]


def test_shares_without_masks_are_the_style_weights():
    read, _ = job(more=((60, 60), (30, 30)), style_weights=(1.0, 3.0, 4.0))
    assert read.final.shares == ((0.125,), (0.375,), (0.5,))
    assert read.final.regions is None
    assert read.final.style_regions == ()


def test_protect_and_fill_are_brightness_times_opacity():
    mask = np.zeros((60, 80, 4), np.uint8)
    mask[:, :40] = 255
    mask[:20, :40, 3] = 0  # clear: not meant
    mask[20:40, 40:] = (128, 128, 128, 255)
    save("mask.png", mask)
    read, _ = job(size=0, control={"protect": "mask.png", "fill": "mask.png"})
    expected = np.zeros((60, 80), np.float32)
    expected[20:, :40] = 1
    expected[20:40, 40:] = 0.5
    for found in (read.final.protect, read.final.fill):
        np.testing.assert_allclose(found, expected, atol=0.003)
        np.testing.assert_array_equal(found == 0, expected == 0)
        np.testing.assert_array_equal(found == 1, expected == 1)
    assert [*read.files][-2:] == ["protect", "fill"]


def test_a_fill_from_a_jpeg_is_exact_where_it_is_flat():
    disc = np.hypot(*np.mgrid[-32:32, -32:32]) < 20
    drawn = Image.fromarray(np.uint8(255 * disc))
    drawn.convert("RGB").save("mask.jpg", quality=90)
    rippled = np.asarray(Image.open("mask.jpg")).max(-1)
    assert rippled[~disc].max() > 5
    assert rippled[disc].min() < 250
    read, _ = job((64, 64), size=0, control={"fill": "mask.jpg"})
    np.testing.assert_array_equal(read.final.fill, disc.astype("f"))


@pytest.mark.parametrize("depth", ["float", "8"])
def test_what_is_not_resized_keeps_every_byte(depth):
    read, _ = job(size=0, resize_depth=depth)
    images.write("again.png", read.final.content)
    np.testing.assert_array_equal(
        np.asarray(Image.open("again.png")), np.asarray(Image.open("content.png"))
    )


@pytest.mark.parametrize("role", ["protect", "fill"])
def test_a_mask_may_have_any_size_but_not_any_shape(role):
    save("mask.png", np.full((31, 41, 3), 255))
    read, _ = job(size=0, control={role: "mask.png"})
    np.testing.assert_array_equal(getattr(read.final, role), np.ones((60, 80), "f"))
    save("mask.png", np.full((60, 60, 3), 255))
    text = refusal(control={role: "mask.png"})
    assert role in text
    assert "60x60 px" in text
    assert "80x60 px" in text


def test_masks_that_are_refused():
    save("black.png", np.zeros((60, 80, 3)))
    save("two.png", halves(60, 80))
    save("square.png", halves(60, 60))
    assert "white somewhere" in refusal(control={"fill": "black.png"})
    assert "white somewhere" in refusal(control={"protect": "black.png"})
    assert "missing.png" in refusal(control={"content_mask": ("missing.png",)})
    assert "60x60 px" in refusal(control={"content_mask": ("square.png",)})
    two = {"content_mask": ("two.png",)}
    text = refusal(control={**two, "style_mask": ("two.png",)})
    assert "style_mask" in text
    assert "60x90 px" in text
    text = refusal(control={**two, "region_weights": (1.0, 2.0, 3.0)})
    assert "2 regions" in text
    assert "got 3" in text
    for masks in [("two.png",), ("two.png",) * 3]:
        text = refusal(more=((60, 60),), control={**two, "style_mask": masks})
        assert "each of the 2 styles" in text
    assert "region" in refusal(more=((60, 60),) * 2, control=two)


@pytest.mark.parametrize("role", ["protect", "fill"])
@pytest.mark.parametrize("clear", [False, True])
def test_a_mask_painted_in_colour_is_refused_however_small(role, clear):
    mask = np.zeros((60, 80, 4), np.uint8)
    mask[..., 3] = 255
    if clear:  # what cannot be seen is not painted
        mask[:] = (255, 255, 255, 0)
    mask[:7, :7] = (255, 0, 0, 255)  # 1 % of the picture
    save("mask.png", mask)
    text = refusal(control={role: "mask.png"})
    assert "100% of what is not black in 'mask.png' has colours" in text
    mask[:7, :7] = 255
    mask[:20, 40:] = 255
    mask[0, :8] = (255, 0, 0, 255)  # specks
    save("mask.png", mask)
    job(control={role: "mask.png"})


def arrays(shape=(40, 60), style=(30, 20)):
    """Pictures as a notebook would make them, with everything in them."""
    generator = np.random.default_rng(0)
    region = np.eye(2, dtype=np.float32)[generator.integers(0, 2, shape)]
    content = generator.random((*shape, 3), np.float32)
    return Pictures(
        content=content,
        styles=(generator.random((*style, 3), np.float32),),
        initial=content[::-1].copy(),
        regions=region,
        style_regions=(np.full((*style, 2), 0.5, np.float32),),
        protect=region[..., 0],
        fill=region[..., 1],
    )


def test_arrays_at_a_smaller_scale():
    whole = arrays(style=(90, 60))
    small = resized(whole, (20, 30), least=16)
    assert small.styles[0].shape == (45, 30, 3)
    assert small.style_regions[0].shape == (45, 30, 2)
    for name in ("content", "initial"):
        expected = images.resize(getattr(whole, name), (20, 30), filter="lanczos")
        np.testing.assert_array_equal(getattr(small, name), expected)
    blocks = whole.fill.reshape(20, 2, 30, 2).mean((1, 3))
    np.testing.assert_allclose(small.fill, blocks, atol=1e-6)
    np.testing.assert_allclose(small.protect, 1 - blocks, atol=1e-6)
    np.testing.assert_allclose(small.regions[..., 1], blocks, atol=1e-6)


def test_arrays_at_their_own_scale_are_the_same():
    whole = arrays()
    for found, expected in zip(resized(whole, (40, 60)), whole, strict=True):
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(found, expected)
    assert resized(whole, (40, 60)).styles[0].shape == (30, 20, 3)


def test_arrays_of_styles_are_never_too_small():
    small = resized(arrays(), (20, 30), least=16)
    assert small.styles[0].shape == (24, 16, 3)
    assert small.style_regions[0].shape == (24, 16, 2)


def test_arrays_without_masks_stay_without():
    bare = arrays()._replace(
        initial=None, regions=None, style_regions=(), protect=None, fill=None
    )
    small = resized(bare, (20, 30))
    assert small.initial is small.regions is small.protect is small.fill is None
    assert small.style_regions == ()


def test_averaging_keeps_weight():
    mask = np.random.default_rng(1).random((37, 53), np.float32)
    for shape in [(11, 17), (37, 20)]:
        assert averaged(mask, shape).mean() == pytest.approx(mask.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("wrap", "size", "found"),
    [
        ("none", 100, [(38, 50), (75, 100)]),
        ("x", 100, [(38, 48), (75, 96)]),
        ("xy", 100, [(32, 48), (80, 96)]),
        ("y", 0, [(32, 48), (64, 90)]),
    ],
)
def test_sizes_that_wrap_are_multiples_at_every_scale(wrap, size, found):
    control = {"wrap": wrap}
    content = (66, 90) if size == 0 else (60, 80)
    read, settings = job(content=content, size=size, control=control)
    settings = dataclasses.replace(settings, solve=nst_jax.SolveConfig(scales="50"))
    made = list(inputs.shapes(read, settings))
    if size == 0:
        found = [(32, 50), found[1]]
    assert made == found
    for shape in made:
        assert inputs.at(read, shape, settings).content.shape[:2] == shape


def test_a_style_that_is_the_content_is_looked_at_outside_the_fill():
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 255
    save("fill.png", mask)
    labels = save("labels.png", halves(60, 80, at=0.75))
    control = {"fill": "fill.png"}
    read, _ = job(size=0, control=control)
    assert read.final.style_regions == ()  # another picture: all of it
    save("content.png", noise(60, 80))
    same = config(control, style=("content.png", "style.png"), size=0)
    own, other = inputs.read(same).final.style_regions
    assert own[:, :40].max() == 0
    assert own[:, 40:].min() == 1
    assert other.min() == 1
    # A copy of the file under another name is the same picture.
    save("copy.png", noise(60, 80))
    regions = {**control, "content_mask": (labels,), "style_mask": (labels,)}
    named = config(regions, style=("copy.png",), size=0)
    (found,) = inputs.read(named).final.style_regions
    assert found.shape == (60, 80, 2)
    assert found[:, :40].max() == 0
    np.testing.assert_array_equal(found[:, 40:].sum(-1), 1)


def test_a_fill_that_leaves_nothing_of_its_own_style_is_refused():
    save("content.png", noise(60, 80))
    save("fill.png", np.full((60, 80), 255))
    settings = config({"fill": "fill.png"}, style=("content.png",))
    with pytest.raises(RequestError, match="fill must leave something"):
        inputs.read(settings)
    # Of one region nothing is left, though of the picture there is.
    save("fill.png", halves(60, 80, (255,) * 3, (0,) * 3))
    labels = (save("labels.png", halves(60, 80, at=0.25)),)
    control = {"fill": "fill.png", "content_mask": labels, "style_mask": labels}
    with pytest.raises(RequestError, match="of each region"):
        inputs.read(config(control, style=("content.png",)))


def test_without_a_content_the_style_has_the_shape():
    save("style.png", noise(90, 60))
    read = inputs.read(config(content="", size=60, init="noise"))
    assert read.shape == (60, 40)
    assert read.alpha is None
    assert [*read.files] == ["style"]
    np.testing.assert_array_equal(read.content, read.styles[0])
