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


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Most of this module's time is compiling, and little of it runs twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def value_and_slope(how, problem, image):
    """The terms at an image, and the slope of their sum."""

    def total(problem, image):
        found = objective.terms(how, problem, image)
        return found.total, found

    slope = jax.jit(jax.grad(total, argnums=1, has_aux=True))
    return jax.device_get(slope(problem, jnp.asarray(image))[::-1])


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
    assert along == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_peer_has_the_same_terms_and_slopes(name, ours, weights, small):
    pytest.importorskip("torch")
    from tests import peer

    content, _, _, image = small
    style, terms, slope = ours(name)
    params = jax.device_get(weights.params)
    expected, gradient = peer.terms_and_gradient(name, params, content, style, image)
    assert_equal_terms(terms, expected, 1e-5)
    assert oracles.relative_error(slope, gradient) < 1e-4


# --- A: what the original programs printed ---------------------------------------

# The argument that is the size, whatever the program calls it.
SIZES = (
    *("end_scale", "image_size", "img_size", "imsize", "size", "max_dim"),
    *("max_size", "img_nrows", "IMAGE_WIDTH", "width"),
)
# Where the recorded program is not the preset itself, and why.
OTHERWISE = {
    # pystiche's reading of the paper: Pillow's bilinear, and odd rows dropped.
    "gatys2016": ("--filter=bilinear", "--resize_depth=8", "--pool_rounding=floor"),
}
# Optimisers that were recorded beside the preset's own.
ADAM_255 = "--optimizer=adam --learning_rate=0.00392156863 --beta1=0.9 --beta2=0.999"
SQUARE = "--epsilon=1e-7 --epsilon_place=square --box=step"
OTHER_OPTIMIZERS = {
    ("neural-style-pt", "adam"): f"{ADAM_255} --epsilon=2.55e-6 --epsilon_place=root",
    ("cysmith", "adam"): f"{ADAM_255} --epsilon=2.55e-6 --epsilon_place=raw",
    ("optimizer-study", "adagrad"): f"--optimizer=adagrad --accumulator=0.1 {SQUARE}",
    ("optimizer-study", "rmsprop"): f"--optimizer=rmsprop --decay=0.9 {SQUARE}",
}


def figures(record):
    """Every set of terms at a named image, the first one first."""
    every = [record, *record.get("cases", ())]
    every += record.get("float64", {}).get("cases", ())
    # TensorFlow's own JPEG decoder differs from Pillow by up to 7 of 255.
    return [case for case in every if "decodes the JPEG" not in case.get("which", "")]


def size_of(case):
    return next(case["arguments"][name] for name in SIZES if name in case["arguments"])


def words(name, arguments):
    """What a program's arguments are as flags; the rest are the preset's own values."""
    found = [*OTHERWISE.get(name, ()), "--scales=none"]
    for argument, value in arguments.items():
        if argument in SIZES:
            found.append(f"--size={value}")
        elif argument == "pooling":
            found.append(f"--pooling={value}")
        elif argument == "total_variation_weight":
            found.append(f"--tv_weight={value}")
        elif argument == "kernels" and value == "upright":
            found.append("--notranspose_kernels")
    return found


@pytest.fixture(scope="module")
def example(weights, tmp_path_factory):
    """A recorded request, as the program itself prepares it from files."""

    @functools.cache
    def style_file(crop):
        if not crop:
            return EXAMPLES / "style.jpg"
        top, bottom = map(int, re.search(r"rows (\d+)\.\.(\d+)", crop).groups())
        path = tmp_path_factory.mktemp("style") / "style.png"
        pixels = np.asarray(Image.open(EXAMPLES / "style.jpg"))
        Image.fromarray(pixels[top : bottom + 1]).save(path)
        return path

    def prepared(name, arguments, *more):
        settings = parsed(
            name,
            *words(name, arguments),
            *more,
            content=EXAMPLES / "content.jpg",
            style=style_file(RECORDS[name].get("style_crop")),
        )
        return settings, inputs.read(settings), seen_by(weights, settings)

    return prepared


def image_of(text, given):
    """The image that the terms were measured at, from its name."""
    content = given.content
    if text.startswith("content flipped left to right"):
        return content[:, ::-1].copy()
    if text.startswith("content"):
        return content
    if text.startswith("the style picture, resized to the content"):
        return given.styles[0]
    assert text.startswith("noise: np.random.seed(0)"), f"no such image: {text}"
    noise = np.random.RandomState(0).uniform(-20, 20, content.shape) / 255
    mean = np.asarray(published.CAFFE) / 255
    return np.float32(0.6 * noise + 0.4 * (content - mean) + mean)


def expected_terms(terms):
    return published.Terms(terms["content"], terms["style"], terms.get("tv", 0.0))


def assert_recorded_terms(terms, recorded, record, rtol):
    """Terms that should be nothing are held against what they are elsewhere."""
    usual = flat(expected_terms(record["terms"]))
    found, wanted = flat(terms), flat(expected_terms(recorded))
    for name, value in wanted.items():
        nothing = 1e-6 * abs(usual[name])
        assert found[name] == pytest.approx(value, rel=rtol, abs=nothing), name
    assert terms.total == pytest.approx(recorded["total"], rel=rtol)


@pytest.mark.parametrize("name", RECORDS)
def test_pictures_have_the_recorded_sizes_and_colours(name, example):
    for case in figures(RECORDS[name]):
        _, given, _ = example(name, case["arguments"])
        pictures = {"content": given.content, "style": given.styles[0]}
        for role, (width, height) in case.get("sizes", {}).items():
            assert pictures[role].shape == (height, width, 3), (role, size_of(case))
        for role, facts in case.get("inputs", {}).items():
            pixels = pictures[role] * 255
            assert pixels.mean((0, 1)) == pytest.approx(facts["mean_rgb_255"], abs=1e-3)
            assert pixels.std((0, 1)) == pytest.approx(facts["std_rgb_255"], abs=1e-3)
            assert pixels[3, 3] == pytest.approx(facts["pixel_at_h3_w3"], abs=1e-2)
        for role, pixels in pictures.items():
            facts = case.get(f"{role}_image_statistics")
            if facts:
                assert pixels.mean((0, 1)) == pytest.approx(facts["mean_rgb"], abs=1e-6)
                for place, colour in facts["pixels"].items():
                    row, column = map(int, place.split(","))
                    assert pixels[row, column] == pytest.approx(colour, abs=1e-6)


def chosen_figures(record):
    """The smallest pictures whose content term is not zero, or all."""
    found = figures(record)
    if EVERYTHING:
        return found
    moved = [case for case in found if case["image"] != "content"]
    return [min(moved, key=size_of)]


@pytest.mark.parametrize("name", RECORDS)
def test_terms_are_the_recorded_ones(name, example):
    record = RECORDS[name]
    for case in chosen_figures(record):
        settings, given, weights = example(name, case["arguments"])
        how, problem = transfer.prepare(given.final, weights, settings)
        image = image_of(case["image"], given)
        terms, slope = value_and_slope(how, problem, image)
        w, f = flat(expected_terms(case["terms"])), flat(terms)
        print("A", name, case["arguments"].get("kernels"), size_of(case), case["image"][:20], {k: f"{f[k]/v-1:.1e}" for k, v in w.items() if v}, f"{np.linalg.norm(slope)/case['gradient_norm']-1:.1e}", flush=True)
