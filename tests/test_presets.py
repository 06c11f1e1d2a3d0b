"""Every preset computes what it is named after.

Three kinds of evidence, as the head of each preset promises them:

- A, "recorded": the figures that the original program printed, in data/presets. Files
  that are added there are read without a word here.
- B, "peer": `peer.py`, PyTorch's own operations; skipped where PyTorch is missing.
- C, "published": `published.py`, the published form in float64.

Most of A is long: by default each record's first figures and a few updates are
compared. With NST_JAX_ALL_FIGURES=1 all of them are, which takes minutes.
"""

import dataclasses
import functools
import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax import (
    config,
    flags,
    inputs,
    objective,
    optimizers,
    preset,
    run,
    solve,
    transfer,
)
from nst_jax.arrays import Preprocessing
from nst_jax.pictures import Pictures
from nst_jax.pretrained import known
from tests import oracles, published

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
RECORDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((HERE / "data" / "presets").glob("*.json"))
}
EVERYTHING = bool(os.environ.get("NST_JAX_ALL_FIGURES"))
PRESETS = [name for name in preset.every() if name != "default"]


def parsed(name, *more, content="content.png", style="style.png"):
    """The settings of a run with a preset."""
    words = [f"--preset={name}", f"--content={content}", f"--style={style}"]
    return flags.parse([*words, "--output=out.png", *more], read_settings=str).config


def seen_by(weights, settings):
    """The Caffe model's numbers, looked at as the preset looks at its own.

    torchvision's numbers are a download of half a gigabyte, and those of Gatys'
    normalised network are lost: other numbers prove the formulas as well.
    """
    if settings.network.weights.endswith("torchvision"):
        mean, std = (
            jnp.asarray(values, jnp.float32)
            for values in (published.TORCH_MEAN, published.TORCH_STD)
        )
        weights = weights._replace(
            preprocessing=Preprocessing(jnp.float32(1), mean, std)
        )
    return weights


def value_and_slope(how, problem, image):
    def total(x):
        found = objective.terms(how, problem, x)
        return found.total, found

    slope, terms = jax.grad(total, has_aux=True)(jnp.asarray(image))
    return jax.device_get(terms), np.asarray(slope)


def flat(terms):
    """The terms that are there, by their names in the metrics."""
    content, style, tv = terms
    found = {f"content/{name}": float(value) for name, value in content.items()}
    found |= {f"style/{name}": float(value) for name, value in style.items()}
    return found | {"tv": float(tv)}


def assert_equal_terms(terms, expected, rtol, smallest=0.0):
    found, wanted = flat(terms), flat(expected)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=rtol, abs=smallest), name


# --- B and C: small pictures with odd sides -------------------------------------


def shown(path, rows, columns):
    pixels = Image.open(path).convert("RGB").resize((columns, rows))
    return np.asarray(pixels, np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def small():
    """Content, a style of another shape, the style in the content's, and an image."""
    content = shown(EXAMPLES / "content.jpg", 45, 51)
    style, same = (shown(EXAMPLES / "style.jpg", *size) for size in ((38, 47), (45, 51)))
    return content, style, same, content[:, ::-1].copy()


@pytest.fixture(scope="module")
def ours(weights, small):
    """The program's own terms of a preset, and their slope, in small."""
    content, style, same, image = small

    @functools.cache
    def measure(name):
        settings = parsed(name)
        # Programs that squash or crop the style never see another shape.
        chosen = same if settings.inputs.fit in ("stretch", "crop") else style
        how, problem = transfer.prepare(
            Pictures(content=content, styles=(chosen,)),
            seen_by(weights, settings),
            settings,
        )
        return chosen, *value_and_slope(how, problem, image)

    return measure


@pytest.fixture(scope="module")
def look(weights):
    return published.Look(jax.device_get(weights.params))


@pytest.mark.parametrize("name", PRESETS)
def test_terms_are_the_published_ones(name, ours, look, small):
    content, _, same, image = small
    style, terms, slope = ours(name)
    form = published.TERMS[name]
    expected = form(look, content, style, image)
    assert_equal_terms(terms, expected, 1e-5)
    # Along one direction, which all presets share: features are looked at once.
    direction, step = np.asarray(same, np.float64) - image, 1e-6
    ahead, behind = (
        form(look, content, style, image + sign * step * direction).total
        for sign in (1, -1)
    )
    along = np.sum(slope * direction)
    print("SLOPE", name, along, (ahead - behind) / (2 * step), along/((ahead - behind) / (2 * step))-1)
    errs={k:flat(terms)[k]/v-1 for k,v in flat(expected).items() if v}
    print("TERMS", name, max(map(abs,errs.values())), errs)
    assert along == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_peer_has_the_same_terms_and_slopes(name, ours, weights, small):
    pytest.importorskip("torch")
    from tests import peer

    content, _, _, image = small
    style, terms, slope = ours(name)
    params = jax.device_get(weights.params)
    expected, gradient = peer.terms_and_gradient(name, params, content, style, image)
    print("B", name, {k:flat(terms)[k]/v-1 for k,v in flat(expected).items() if v}, oracles.relative_error(slope, gradient))
    assert_equal_terms(terms, expected, 1e-5)
    assert oracles.relative_error(slope, gradient) < 1e-4
