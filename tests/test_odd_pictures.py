"""Pictures of every shape and kind, and what must stay as it is, from file to file."""

import os

import numpy as np
import pytest
from PIL import Image

from nst_jax import run

SOON = (
    "--weights=random",
    "--steps=2",
    "--optimizer=adam",
    "--device=cpu",
    "--content_layers=relu2_1",
    "--style_layers=relu1_1",
    "--output=out.png",
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("photo.png", noise(60, 80))
    save("painting.png", noise(70, 50, seed=1))


def noise(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), np.uint8)


def save(name, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(name)
    return name


def shown(path):
    return np.asarray(Image.open(path))


def half(height, width):
    """A mask that is white on the left."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


def made(*flags, content="--content=photo.png", style="--style=painting.png"):
    assert run.main([content, style, *SOON, *flags]) == 0
    return shown("out.png")


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((40, 400), 160, (16, 160)),  # a panorama
        ((32, 32), 0, (32, 32)),
        ((37, 53), 0, (37, 53)),
        ((33, 47), 53, (37, 53)),
    ],
)
def test_shapes(shape, size, expected):
    save("odd.png", noise(*shape))
    result = made(f"--size={size}", content="--content=odd.png")
    assert result.shape == (*expected, 3)
    assert result.std() > 1


def test_the_smallest_picture_for_all_layers():
    save("tiny.png", noise(16, 16))
    deep = ("--content_weight=0", "--style_layers=relu5_1", "--size=0", "--steps=0")
    result = made(*deep, content="--content=tiny.png", style="--style=tiny.png")
    assert result.shape == (16, 16, 3)
    few = ["--content=tiny.png", "--style=painting.png", *SOON, "--size=15"]
    assert run.main([*few, "--overwrite"]) == 2


@pytest.mark.parametrize(
    "pixels",
    [
        noise(20, 20, seed=2),
        np.tile(noise(30, 40, seed=3), (100, 100, 1)),  # 4000 x 3000
        noise(25, 30)[..., 0],  # grey
    ],
    ids=["small", "large", "grey"],
)
def test_styles_of_any_size(pixels):
    save("odd.png", pixels)
    flags = ("--size=40", "--content_weight=0", "--tv_weight=0")
    plain = made(*flags)
    result = made(*flags, "--overwrite", style="--style=odd.png")
    assert result.shape == plain.shape == (30, 40, 3)
    assert (result != plain).any()


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "I;16", "CMYK"])
def test_kinds_of_content(mode):
    picture = Image.fromarray(noise(30, 40))
    if mode == "I;16":
        picture = Image.fromarray(noise(30, 40)[..., 0].astype(np.uint16) * 256)
    name = "odd.tif" if mode == "CMYK" else "odd.png"
    picture = picture if mode == "I;16" else picture.convert(mode)
    if mode == "LA":
        picture.putalpha(Image.fromarray(half(30, 40)))
    picture.save(name)
    result = made("--size=0", content=f"--content={name}")
    assert result.shape[:2] == (30, 40)
    assert result.shape[2] == (4 if mode == "LA" else 3)


def clear(name):
    """The photo, opaque to clear from left to right, with colour beneath."""
    alpha = np.tile(np.linspace(255, 0, 80).round(), (60, 1))
    pixels = np.dstack([noise(60, 80), alpha]).astype(np.uint8)
    save(name, pixels)
    return pixels


def test_opacity_is_kept_to_the_byte():
    before = clear("clear.png")
    result = made("--size=0", content="--content=clear.png")
    np.testing.assert_array_equal(result[..., 3], before[..., 3])


@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("style", ["painting.png", "content.png"])
def test_outside_a_fill_every_byte_stays(has_alpha, style):
    before = clear("content.png") if has_alpha else noise(60, 80)
    save("content.png", before)
    save("fill.png", half(60, 80))
    result = made(
        *("--fill=fill.png", "--size=0", "--init=noise", "--content_weight=0"),
        content="--content=content.png",
        style=f"--style={style}",
    )
    np.testing.assert_array_equal(result[:, 40:], before[:, 40:])
    assert np.abs(result[:, :40] / 255 - before[:, :40] / 255)[..., :3].mean() > 0.02


def test_a_region_without_style_keeps_every_byte():
    before = clear("clear.png")
    mask = half(60, 80)
    save("labels.png", mask)
    flags = ("--size=0", "--content_mask=labels.png", "--region_weights=0,1")
    result = made(*flags, content="--content=clear.png")
    np.testing.assert_array_equal(result[:, 40:], before[:, 40:])
    assert (result[:, :40] != before[:, :40]).any()


def test_a_texture_needs_no_content(capsys):
    texture = ("--style=painting.png", *SOON, "--content_weight=0", "--size=40")
    assert run.main([*texture, "--init=noise", "--wrap=xy"]) == 0
    # 40 x 29 in the style's shape; the deepest layer's stride is 2.
    assert "30x40" in capsys.readouterr().out
    first = shown("out.png")
    assert first.shape == (40, 30, 3)
    assert run.main(["--flagfile=out.flags", "--output=again.png"]) == 0
    np.testing.assert_array_equal(shown("again.png"), first)
    for flags in (["--init=content"], ["--init=noise", "--content_weight=1"]):
        there = sorted(os.listdir())
        assert run.main([*texture, "--overwrite", *flags]) == 2
        assert "missing --content" in capsys.readouterr().err
        assert sorted(os.listdir()) == there


SOFT = "--content_mask=left.png,right.png"
WRONG = {
    "--content_mask=black.png,left.png": "black",
    "--content_mask=wide.png": "aspect ratio",
    f"{SOFT} --style=painting.png,photo.png,painting.png": "as many as the 2 regions",
    "--content_mask=left.png,corner.png": "no pixel without a region",
    "--content_mask=left.png --style=photo.png --style_mask=three.png": "2 regions",
    "--content_mask=three.png --style=photo.png --style_mask=left.png": "3 regions",
    f"{SOFT} --style=photo.png --style_mask=left.png,right.png,corner.png": "region",
    f"{SOFT} --region_weights=1,2,3": "one for each of the 2 regions",
    f"{SOFT} --region_weights=0": "positive sum",
    "--style=painting.png,photo.png --style_weights=0,0": "positive sum",
    "--style_mask=left.png": "--style_mask needs --content_mask",
    "--region_weights=1,2": "--region_weights needs --content_mask",
    "--size=64 --laplacian_weight=1 --laplacian_pool=30": "at least 90 px",
    "--scale_steps=0": "at least 1",
    "--fill=black.png": "white somewhere",
    "--fill=wide.png": "--fill should have the aspect ratio",
    "--fill=red.png": "100% of what is not black in 'red.png' has colours",
    "--protect=red.png": "--protect must be white, black and greys",
    "--protect=black.png": "white somewhere",
    "--protect=none.png": "does not exist",
}


@pytest.mark.parametrize("flags", WRONG)
def test_wrong_masks_are_answered_before_any_work(flags, capsys):
    corner = np.zeros((60, 80))
    corner[:10, 60:] = 255
    save("left.png", half(60, 80))
    save("right.png", 255 - half(60, 80))
    save("corner.png", corner)
    save("black.png", np.zeros((60, 80)))
    save("wide.png", half(60, 160))
    three = np.zeros((60, 80, 3))
    three[:20], three[20:40, :, 0] = 255, 255
    save("three.png", three)
    save("red.png", np.full((60, 80, 3), (255, 0, 0)))
    there = sorted(os.listdir())
    job = ["--content=photo.png", "--style=painting.png", *SOON, *flags.split()]
    assert run.main(job) == 2
    said = capsys.readouterr()
    assert WRONG[flags] in said.err
    assert said.err.count("\n") == 1
    assert not said.out
    assert sorted(os.listdir()) == there
