"""The pictures that ship, and the scripts that draw them."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
TINY = 0.04
SIZES = {"content.jpg": (768, 576), "style.jpg": (768, 640)}

Draw = Callable[[int, float], np.ndarray]


@pytest.fixture(scope="module", params=["scene", "painting"])
def draw(request: pytest.FixtureRequest) -> Draw:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        return importlib.import_module(f"drawing.{request.param}").draw


@pytest.mark.parametrize("name", SIZES)
def test_shipped_picture_is_a_small_plain_jpeg(name: str) -> None:
    path = ROOT / "examples" / name
    with Image.open(path) as picture:
        assert picture.format == "JPEG"
        # Without a profile and in three channels, readers take it for sRGB.
        assert picture.mode == "RGB"
        assert "icc_profile" not in picture.info
        assert picture.size == SIZES[name]
    assert path.stat().st_size < 300_000


@pytest.mark.parametrize("name", SIZES)
def test_shipped_picture_uses_the_whole_range_of_tones(name: str) -> None:
    """A black, washed out or flat picture would pass every check on its header."""
    with Image.open(ROOT / "examples" / name) as picture:
        tones = np.asarray(picture.convert("L"))
    assert np.percentile(tones, 2) < 70
    assert np.percentile(tones, 98) > 185


def test_the_same_seed_draws_the_same_picture(draw: Draw) -> None:
    first = draw(3, TINY)
    assert first.dtype == np.float32
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.std() > 0.05
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_array_equal(first, draw(3, TINY))
    assert np.abs(first - draw(4, TINY)).mean() > 0.01
