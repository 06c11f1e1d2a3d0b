"""Coarse to fine: the long sides and the updates at each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax import scales
from nst_jax.errors import RequestError

RULES = ["none", "auto", "2", "sqrt2", "200,400"]


@pytest.mark.parametrize(
    ("long", "text", "want"),
    [
        (1024, "none", (1024,)),
        (640, "auto", (640,)),
        (642, "auto", (321, 642)),
        (1024, "auto", (512, 1024)),
        (1280, "auto", (640, 1280)),
        (1284, "auto", (321, 642, 1284)),
        (4096, "auto", (512, 1024, 2048, 4096)),
        (100, "2", (100,)),
        (255, "2", (128, 255)),
        (254, "2", (254,)),
        (1023, "2", (128, 256, 512, 1023)),
        # What gen_scales of style-transfer-pytorch gives for 128 and these ends.
        (512, "sqrt2", (128, 181, 256, 362, 512)),
        (515, "sqrt2", (129, 182, 258, 364, 515)),
        (1000, "sqrt2", (177, 250, 354, 500, 707, 1000)),
        (127, "sqrt2", (127,)),
        (512, "128,256,512", (128, 256, 512)),
        (300, "128, 256, 512", (128, 256, 300)),
        (100, "128,256", (100,)),
        (700, "32", (32, 700)),
    ],
)
def test_sizes(long, text, want):
    assert scales.sizes(long, text) == want


@given(long=st.integers(1, 20_000), text=st.sampled_from(RULES))
def test_sizes_rise_strictly_to_the_last(long, text):
    found = scales.sizes(long, text)
    assert found[-1] == long
    assert list(found) == sorted(set(found))
    if text == "auto":
        assert found[0] <= 641


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "256,", "auto,512", "0", "-256", "512,256", "256,256", "1e3"),
        *("256.5", "1_000", "٣٠٠", "9999999", "AUTO", "256\n512", "sqrt3"),
    ],
)
def test_what_is_no_list_of_sizes_is_refused_in_one_line(text):
    with pytest.raises(RequestError, match=r"^--scales must be .* got ") as caught:
        scales.parse(text)
    assert "\n" not in str(caught.value)
    with pytest.raises(RequestError):
        scales.sizes(1024, text)


@pytest.mark.parametrize(
    ("count", "steps", "scale_steps", "want"),
    [
        (1, 50, (300, 100), [50]),
        (2, 50, (300, 100), [300, 50]),
        (4, 50, (300, 100), [300, 100, 100, 50]),
        (3, 50, (300,), [300, 300, 50]),
        (3, 50, (), [50, 50, 50]),
        (3, 50, (0, 100), [0, 100, 50]),
        (3, 0, (300, 100), [0, 0, 0]),
    ],
)
def test_steps_at_each_scale(count, steps, scale_steps, want):
    found = [scales.steps_at(i, count, steps, scale_steps) for i in range(count)]
    assert found == want
