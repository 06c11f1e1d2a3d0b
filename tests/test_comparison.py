"""show compare, from arguments to the table."""

import csv
import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax import images, lpips, pretrained, quality, show
from nst_jax.errors import RequestError

RANDOM = ("--weights=random", "--device=cpu", "--quiet", "--offline")
SHALLOW = ("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: a photo, two copies with more noise, a painting, a large."""
    draw = np.random.default_rng(0)
    photo = draw.integers(0, 256, (6, 8, 3)).repeat(8, 0).repeat(8, 1)
    noise = draw.normal(size=photo.shape)
    for name, pixels in {
        "photo": photo,
        "little, noise": photo + 10 * noise,
        "noise": photo + 60 * noise,
        "painting": draw.integers(0, 256, (50, 40, 3)),
        "large": photo.repeat(2, 0).repeat(2, 1),
    }.items():
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_lpips(monkeypatch):
    def none(**_):
        raise RequestError("the weights lpips-vgg16 are not on this machine")

    monkeypatch.setattr(pretrained, "load_lpips", none)


def rows(path="t.csv"):
    with open(path, newline="") as file:
        return {row["picture"]: row for row in csv.DictReader(file)}


def test_the_first_picture_is_the_reference(folder, no_lpips, capsys):
    asked = ("compare", "photo.png", "little, noise.png", "noise.png")
    flags = ("--style=painting.png", "--csv=t.csv", *SHALLOW, *RANDOM)
    assert show.main([*asked, *flags]) == 0
    said = capsys.readouterr()
    title = "compared with photo.png at 64x48 px, and style with painting.png"
    assert title in said.out
    assert "SSIM and PSNR (dB) higher; LPIPS and the distances" in said.out
    assert "without LPIPS: the weights lpips-vgg16 are not" in said.err
    found = rows()
    assert list(found) == list(asked[1:])
    same, near, far = found.values()
    assert (same["ssim"], same["psnr"], same["content"]) == ("1.0", "inf", "0.0")
    assert (same["lpips"], same["size"]) == ("", "64x48")
    assert float(near["ssim"]) > float(far["ssim"])
    assert float(near["content"]) < float(far["content"])
    assert f"{float(far['style']):.4g}" in said.out


def test_the_content_takes_the_first_place(folder, no_lpips, capsys):
    flags = ("--content=photo.png", "--pictures=noise.png", "--csv=t.csv")
    assert show.main(["compare", *flags, *SHALLOW, *RANDOM]) == 0
    assert list(rows()) == ["photo.png", "noise.png"]
    assert rows()["noise.png"]["style"] == ""
    assert "style with" not in capsys.readouterr().out


def test_the_content_may_be_named_among_the_pictures(folder, no_lpips):
    pictures = ("noise.png", "photo.png")
    flags = ("--content=photo.png", "--csv=t.csv", *SHALLOW, *RANDOM)
    assert show.main(["compare", *pictures, *flags]) == 0
    assert list(rows()) == ["photo.png", "noise.png"]


@pytest.fixture
def compared(monkeypatch):
    """What is measured: the reference, the pictures by name, the style."""
    seen, whole = [], quality.compare

    def compare(reference, pictures, look, *, style, perceptual):
        seen.append((reference, pictures, style))
        return whole(reference, pictures, look, style=style, perceptual=perceptual)

    monkeypatch.setattr(quality, "compare", compare)
    return seen


LARGE = (
    *("compare", "large.png", "noise.png", "photo.png"),
    *("--style=painting.png", "--csv=t.csv"),
)


def test_all_are_compared_at_the_size_of_the_smallest(
    folder, no_lpips, compared, capsys
):
    assert show.main([*LARGE, *SHALLOW, *RANDOM]) == 0
    said = capsys.readouterr()
    assert "compared with large.png at 64x48 px" in said.out
    assert "squeezed" not in said.err
    ((reference, pictures, style),) = compared
    assert reference.shape == (48, 64, 3)
    assert style.shape == (64, 51, 3)
    for name in ("noise.png", "photo.png"):
        as_made = images.read(name, max_pixels=10**6).pixels
        np.testing.assert_array_equal(pictures[name], as_made)
    assert rows()["large.png"]["size"] == "128x96"
    assert float(rows()["photo.png"]["psnr"]) > 20


def test_a_result_of_a_pixel_less_is_not_resampled(folder, no_lpips, compared):
    # As programs make it that round down.
    small = np.random.default_rng(1).integers(0, 256, (47, 64, 3))
    Image.fromarray(small.astype(np.uint8)).save("result.png")
    asked = ("compare", "large.png", "result.png")
    assert show.main([*asked, *SHALLOW, *RANDOM]) == 0
    ((_, pictures, _),) = compared
    np.testing.assert_allclose(pictures["result.png"] * 255, small, atol=1e-4)


def test_a_size_that_is_given_wins(folder, no_lpips, compared, capsys):
    assert show.main([*LARGE, "--size=32", *SHALLOW, *RANDOM]) == 0
    assert "at 32x24 px" in capsys.readouterr().out
    ((_, pictures, _),) = compared
    assert {picture.shape for picture in pictures.values()} == {(24, 32, 3)}


def test_another_shape_is_told(folder, no_lpips, capsys):
    asked = ("compare", "large.png", "painting.png", *SHALLOW, *RANDOM)
    assert show.main(asked) == 0
    said = capsys.readouterr().err
    assert "'painting.png' is 40x50 px, of another shape than 'large.png'" in said
    assert "squeezed to 50x38" in said


def test_lpips_is_computed_where_its_numbers_are_there(folder, monkeypatch):
    network = pretrained.load("vgg16", "random", announce=lambda line: None)
    sizes = (64, 128, 256, 512, 512)
    linear = {
        name: jnp.ones(size) for name, size in zip(lpips.LAYERS, sizes, strict=True)
    }
    numbers = lpips.Perceptual(network.params, linear)
    monkeypatch.setattr(pretrained, "load_lpips", lambda **_: numbers)
    asked = ("compare", "photo.png", "little, noise.png", "noise.png", "--csv=t.csv")
    assert show.main([*asked, *SHALLOW, *RANDOM]) == 0
    same, near, far = (float(row["lpips"]) for row in rows().values())
    assert same == pytest.approx(0, abs=1e-9)
    assert 0 < near < far


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "missing --pictures"),
        (("photo.png",), "two pictures or more, got 'photo.png' alone"),
        (("photo.png", "photo.png"), "'photo.png' twice"),
        (("photo.png", "none.png"), "none.png"),
        (("photo.png", "noise.png", "--quiet", "large.png"), "unexpected argument"),
        (("photo.png", "noise.png", "--style=large.png,noise.png"), "got 2; give one"),
        (("photo.png", "noise.png", "--columns=2"), "--columns is not for compare"),
        (("photo.png", "noise.png", "--csv=noise.png", "--overwrite"), "is read"),
        (("photo.png", "noise.png", "--size=16"), "needs pictures of at least 16x16"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(folder, capsys, arguments, words):
    there = sorted(os.listdir())
    assert show.main(["compare", *arguments, *RANDOM]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert (said.out, sorted(os.listdir())) == ("", there)


def test_pictures_may_stand_first_for_no_other_command(folder, capsys):
    assert show.main(["network", "photo.png"]) == 2
    assert "unexpected argument 'photo.png'" in capsys.readouterr().err
