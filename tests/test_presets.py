"""Every preset computes what it is named after.

Three kinds of evidence, as the head of each preset promises them:

- A, "recorded": the figures that the original program printed, in data/presets. Files
  that are added there are read without a word here.
- B, "peer": `peer.py`, PyTorch's own operations; skipped where PyTorch is missing.
- C, "published": `published.py`, the published form in float64.

Most of A is long: by default each record's smallest pictures and a few updates are
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

from nst_jax import flags, inputs, objective, prepare, preset, run, transfer
from nst_jax.arrays import Preprocessing
from nst_jax.pictures import Pictures
from nst_jax.pretrained import known, places
from tests import oracles, published

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
RECORDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((HERE / "data" / "presets").glob("*.json"))
}
EVERYTHING = bool(os.environ.get("NST_JAX_ALL_FIGURES"))
PRESETS = list(preset.every())


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
    content = shown(EXAMPLES / "content.jpg", 27, 35)
    painting = EXAMPLES / "style.jpg"
    style, same = shown(painting, 25, 22), shown(painting, 27, 35)
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
        how, problem = prepare.problem(
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
    content, _, _, image = small
    style, terms, slope = ours(name)
    form = published.TERMS[name]
    expected = form(look, content, style, image)
    assert_equal_terms(terms, expected, TERMS_AGREE.get(name, 1e-5))
    if name == "crowsonkb":
        return  # whose slope is not that of its terms; see `peer.Root`
    # Along one direction, which all presets share: features are looked at once. Towards
    # the content no preset's slope is so flat that its curvature would count.
    direction, step = np.asarray(content, np.float64) - image, 1e-6
    ahead = form(look, content, style, image + step * direction)
    along = np.sum(slope * direction)
    assert along == pytest.approx((ahead.total - expected.total) / step, rel=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_peer_has_the_same_terms_and_slopes(name, ours, weights, small):
    pytest.importorskip("torch")
    from tests import peer

    content, _, _, image = small
    style, terms, slope = ours(name)
    params = jax.device_get(weights.params)
    expected, gradient = peer.terms_and_gradient(name, params, content, style, image)
    assert_equal_terms(terms, expected, TERMS_AGREE.get(name, 1e-5))
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
    # The recorded style has the content's aspect already, which is cut to a pixel here.
    "pytorch-tutorial": ("--fit=stretch",),
}
# Where terms agree less than to 1e-5, and why.
TERMS_AGREE = {
    # Twelve iterations for a root lose a digit in float32.
    "crowsonkb": 3e-5,
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
    found = [*OTHERWISE.get(name, ()), "--scales=none"]  # a later --scales counts
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
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        nothing = 1e-6 * abs(usual[name])
        assert found[name] == pytest.approx(value, rel=rtol, abs=nothing), name
    assert float(terms.total) == pytest.approx(recorded["total"], rel=rtol)


@pytest.mark.parametrize("name", RECORDS)
def test_pictures_have_the_recorded_sizes_and_colours(name, example):
    for case in figures(RECORDS[name]):
        _, given, _ = example(name, case["arguments"])
        given = {"content": given.content, "style": given.styles[0]}
        pictures = {role: pixels.astype(np.float64) for role, pixels in given.items()}
        for role, (width, height) in case.get("sizes", {}).items():
            assert pictures[role].shape == (height, width, 3), role
        for role in case.get("inputs", {}).keys() & pictures.keys():
            facts = case["inputs"][role]
            pixels = 255 * pictures[role]
            height, width = facts["height"], facts["width"]
            assert pixels.shape == (height, width, 3)
            assert pixels.mean((0, 1)) == pytest.approx(facts["mean_rgb_255"], abs=1e-3)
            assert pixels.std((0, 1)) == pytest.approx(facts["std_rgb_255"], abs=1e-3)
            inside = pixels[height // 3, width // 3]
            assert inside == pytest.approx(facts["pixel_at_h3_w3"], abs=1e-2)
        for role, pixels in pictures.items():
            facts = case.get(f"{role}_image_statistics", {"pixels": {}})
            if "mean_rgb" in facts:
                assert pixels.mean((0, 1)) == pytest.approx(facts["mean_rgb"], abs=1e-6)
            for place, colour in facts["pixels"].items():
                row, column = map(int, place.split(","))
                assert pixels[row, column] == pytest.approx(colour, abs=1e-6)


def chosen_figures(record):
    """All, or else the smallest whose content term is not zero."""
    found = figures(record)
    if EVERYTHING:
        return found
    moved = [case for case in found if any(case["terms"]["content"].values())]
    return [min(moved, key=size_of)]


@pytest.mark.parametrize("name", RECORDS)
def test_terms_are_the_recorded_ones(name, example):
    record = RECORDS[name]
    for case in chosen_figures(record):
        settings, given, weights = example(name, case["arguments"])
        how, problem = prepare.problem(given.final, weights, settings)
        image = image_of(case["image"], given)
        within = TERMS_AGREE.get(name, 1e-5)
        if EVERYTHING or size_of(case) <= 128:
            terms, slope = value_and_slope(how, problem, image)
            size = np.linalg.norm(slope.astype(np.float64))
            assert size == pytest.approx(case["gradient_norm"], rel=1e-4)
        else:
            terms = jax.jit(functools.partial(objective.terms, how))(problem, image)
        assert_recorded_terms(terms, case["terms"], record, within)


def runs(record):
    """What was recorded after some updates, by the arguments that led there."""
    found = {}
    for row in record.get("after", ()):
        key = json.dumps([row["arguments"], row["initial_image"]])
        found.setdefault(key, []).append(row)
    for rows in found.values():
        # The full length is for those who have the time.
        steps = 20 if EVERYTHING else 5 if size_of(rows[0]) <= 128 else 1
        yield [row for row in rows if row["steps"] <= steps]


def moves(name, arguments):
    """The optimiser as flags, where it is not the preset's own."""
    word = arguments.get("optimizer", "").lower().partition(" ")[0]
    found = OTHER_OPTIMIZERS.get((name, word), "").split()
    if name == "gatys2016":  # pystiche's, which is torch's on 0..255
        found += ["--line_search=none", "--first_step=0.00392156863"]
    if name == "optimizer-study":
        found.append(f"--learning_rate={arguments['learning_rate']}")
    return found


def chosen_runs(record):
    """All, or else the smallest; the first of them is by the preset's own optimiser."""
    found = list(runs(record))
    return found if EVERYTHING else [min(found, key=lambda rows: size_of(rows[0]))]


def agreement(name, settings, step):
    """How far two runs in float32 may be apart, relative to the total.

    Adam divides by the gradient's size, so rounding decides the way of pixels that have
    none. A rate of 0.1 overshoots: a start moved by 1e-7 changes Adagrad's fifth total
    by 1e-3, and torch's run in float64 ends 8e-4 from the recorded one. L-BFGS' first
    pair is little more than rounding where the first step is short: runs of one program
    in float32 and in float64 part as far. Flat places add to it: rounding decides which
    of a pool's equal values receives the gradient.
    """
    if settings.optimizer.optimizer != "lbfgs":
        overshoots = settings.optimizer.learning_rate >= 0.1
        return {1: 1e-5, 5: 2e-3 if overshoots else 2e-4, 20: 1e-2}[step]
    flat_places = 0.2 if name == "pytorch-tutorial" else 3e-2
    return {1: 1e-5, 5: flat_places, 20: 0.3}[step]


def watched(pictures, shapes, weights, settings):
    """The terms, the image and what is kept of it, by step."""
    last = settings.solve.steps
    going = transfer.steps(
        pictures, shapes, weights, settings, pace=lambda step: last, log_every=1
    )
    return {
        now.step: (now.terms, np.array(now.state.image), np.array(now.image))
        for now in going
    }


def assert_looks_as(image, facts, within):
    """The image has the recorded mean colour and pixels."""
    mean = image.mean((0, 1), dtype=np.float64)
    assert mean == pytest.approx(facts["mean_rgb"], abs=within)
    for place, colour in facts["pixels"].items():
        row, column = map(int, place.split(","))
        assert image[row, column] == pytest.approx(colour, abs=100 * within)


@pytest.mark.parametrize("name", RECORDS)
def test_updates_are_the_recorded_ones(name, example):
    for rows in chosen_runs(RECORDS[name]):
        arguments, last = rows[0]["arguments"], max(row["steps"] for row in rows)
        settings, given, weights = example(
            *(name, arguments, *moves(name, arguments), f"--steps={last}"),
            # Another order of sums is another way for rounding to grow.
            "--convolution=direct",
        )
        start = image_of(rows[0]["initial_image"], given)
        here = functools.partial(given.final._replace, initial=start)
        found = watched(
            lambda shape, now=here: now(), (given.shape,), weights, settings
        )
        for row in rows:
            terms, image, kept = found[row["steps"]]
            within = agreement(name, settings, row["steps"])
            assert float(terms.total) == pytest.approx(row["total"], rel=within)
            if "image_statistics" in row:
                assert_looks_as(image, row["image_statistics"], within / 10)
            if "average" in row:
                assert_looks_as(kept, row["average"], within / 10)


@pytest.mark.parametrize(
    "name",
    [name for name in RECORDS if "two_scales" in RECORDS[name]],
)
def test_the_second_scale_goes_on_as_recorded(name, example):
    """The average is enlarged and clamped; Adam's moments and its count go along."""
    record = RECORDS[name]["two_scales"]
    first, second = record["first"]["steps"], record["second"]
    settings, given, weights = example(
        name,
        record["arguments"],
        *(f"--scales={record['scales'][0]}", f"--scale_steps={first}", "--steps=1"),
    )
    shapes = inputs.shapes(given, settings)
    assert [shape[::-1] for shape in shapes] == [
        tuple(record["first"]["size"]),
        tuple(second["size"]),
    ]

    def pictures(shape):
        return inputs.at(given, shape, settings)

    found = watched(pictures, shapes, weights, settings)
    terms, image, kept = found[first + 1]
    assert float(terms.total) == pytest.approx(second["after_1"]["total"], rel=2e-4)
    assert_looks_as(image, second["after_1"]["image_statistics"], 2e-5)
    assert_looks_as(kept, second["after_1"]["average"], 2e-5)


# --- what every preset says ------------------------------------------------------

# Settings that belong to the pictures, to the machine or to the files.
USERS = {
    *("content", "style", "content_mask", "style_mask", "protect", "protect_weight"),
    *("fill", "color_when", "seed", "precision", "convolution", "log_every"),
    *("tolerance", "tolerance_steps", "max_recoveries"),
}
# Settings that do nothing as they are, each with that value.
IDLE = {
    "style_scale": (1.0,),
    "style_weights": (1.0,),
    "region_weights": (1.0,),
    "laplacian_weight": 0.0,
    "balance": "auto",  # which is none without a strength
    "strength": -1.0,
    "wrap": "none",
}
# Settings that count only where another has one of these values.
NEEDED_BY = {
    "noise": ("init", {"noise", "blend"}),
    "noise_amplitude": ("init", {"noise", "blend"}),
    "noise_ratio": ("init", {"blend"}),
    "laplacian_pool": ("laplacian_weight", set()),
    "schedule": ("optimizer", {"adam", "rmsprop", "adagrad", "sgd"}),
    "warmup_steps": ("optimizer", {"adam", "rmsprop", "adagrad", "sgd"}),
    "schedule_rate": ("schedule", {"exponential", "inverse_root"}),
    "schedule_steps": ("schedule", {"exponential", "cosine"}),
    "beta1": ("optimizer", {"adam"}),
    "beta2": ("optimizer", {"adam"}),
    "epsilon": ("optimizer", {"adam", "rmsprop", "adagrad"}),
    "epsilon_place": ("optimizer", {"adam", "rmsprop", "adagrad"}),
    "decay": ("optimizer", {"rmsprop"}),
    "momentum": ("optimizer", {"rmsprop", "sgd"}),
    "nesterov": ("optimizer", {"adam", "rmsprop", "sgd"}),
    "accumulator": ("optimizer", {"adagrad"}),
    "history": ("optimizer", {"lbfgs"}),
    "line_search": ("optimizer", {"lbfgs"}),
    "linesearch_steps": ("line_search", {"zoom"}),
    "first_step": ("line_search", {"none"}),
    "longest_step": ("line_search", {"none"}),
    "average_decay": ("keep", {"average"}),
    "root_steps": ("style_loss", {("wasserstein",)}),
}


def settings_of(name):
    """Every setting that changes numbers, with its value under a preset."""
    whole = parsed(name)
    return {
        field.name: getattr(getattr(whole, group), field.name)
        for group in ("inputs", "control", "network", "objective", "optimizer", "solve")
        for field in dataclasses.fields(getattr(whole, group))
        if field.metadata["stored"] == "always"
    }


# The default is what the settings are without a preset: it names none.
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "default"])
def test_a_preset_names_all_that_changes_its_numbers(name):
    values = settings_of(name)
    needed = values.keys() - USERS - IDLE.keys()
    for setting, (other, wanted) in NEEDED_BY.items():
        # `line_search` counts for L-BFGS alone, and with it what hangs on that.
        deeper, its = NEEDED_BY.get(other, ("", {""}))
        if values[other] not in wanted or values.get(deeper, "") not in its:
            needed.discard(setting)
    if values["scales"] == "none":
        needed -= {"scale_steps", "scale_filter"}
    text = preset.look_up(name).text
    named = re.findall(r"^--(?:no(?!ise))?(\w+)", text, re.MULTILINE)
    assert len(named) == len(set(named))
    assert needed <= set(named)
    assert {key: values[key] for key in IDLE} == IDLE


def test_every_preset_has_known_weights_but_one():
    stored = {name: parsed(name).network.weights for name in PRESETS}
    there = {*known.KNOWN, "auto"}
    lost = {name for name, weights in stored.items() if weights not in there}
    assert lost == {"gatys2016"}  # Gatys' normalised network is not published any more


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_evidence_it_promises(name):
    promised = set(re.findall(r"\b[ABC]\b", preset.look_up(name).evidence))
    assert promised == {"B", "C"} | ({"A"} if name in RECORDS else set())
    assert name in published.TERMS
    assert f'"{name}": ' in (HERE / "peer.py").read_text()


def test_regions_are_the_posters(weights, small, look):
    """Each region's Gram matrix over its own size, averaged over regions."""
    content, _, style, image = small
    rows, columns = np.mgrid[: content.shape[0], : content.shape[1]]
    left = (columns < 14).astype(np.float32)
    low = np.clip((rows - 8) / 10, 0, 1).astype(np.float32)
    masks, style_masks = (np.stack([m, 1 - m], -1) for m in (left, low))
    settings = parsed("cs229")
    how, problem = prepare.problem(
        Pictures(
            content=content,
            styles=(style,),
            regions=masks,
            style_regions=(style_masks,),
            shares=((1.0, 1.0),),
        ),
        weights,
        settings,
    )
    at_layers = [
        {name: at_layer(mask, name) for name in published.FIVE}
        for mask in (masks, style_masks)
    ]
    expected = published.cs229(look, content, style, image, *at_layers)
    terms, _ = value_and_slope(how, problem, image)
    assert_equal_terms(terms, expected, 1e-5)


def at_layer(mask, name):
    """The mean of a mask over each position's cell, spread over its neighbours."""
    for _ in range(int(name[4]) - 1):
        mask = oracles.pool(mask, "avg", "same")
    soft = np.pad(mask, ((1, 1), (1, 1), (0, 0)), "edge")
    soft = soft[:-2] / 4 + soft[1:-1] / 2 + soft[2:] / 4
    return soft[:, :-2] / 4 + soft[:, 1:-1] / 2 + soft[:, 2:] / 4


# --- presets on the command line -------------------------------------------------


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The arguments of a job in an empty folder; what they leave is read there."""
    monkeypatch.chdir(tmp_path)
    pictures = [f"--{role}={EXAMPLES / role}.jpg" for role in ("content", "style")]
    return [*pictures, "--output=out.png", "--size=32", "--device=cpu"]


def test_an_unknown_preset_is_answered_with_the_nearest(job, capsys):
    assert run.main([*job, "--preset=gatys-2016"]) == 2
    assert "did you mean gatys2016?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("pytorch-tutorial", "python -m nst_jax.pretrained convert"),
        ("gatys2016", "python scripts/rescale_weights.py"),
    ],
)
def test_weights_that_cannot_be_had_are_answered_with_the_command(
    name, command, job, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(places, "folders", lambda: (tmp_path / "none",))
    monkeypatch.delenv(places.VARIABLE, raising=False)
    assert run.main([*job, f"--preset={name}", "--offline"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert parsed(name).network.weights in last
    assert command in last
    assert sorted(os.listdir()) == []


def test_with_other_weights_a_result_is_not_called_the_preset(job):
    assert run.main([*job, "--preset=coursera", "--weights=random", "--steps=0"]) == 0
    line = "preset: coursera (not the preset: other weights), changed: size"
    assert line in Path("out.flags").read_text()
    with Image.open("out.png") as picture:
        assert line in " ".join(map(str, picture.info.values()))
