"""show sweep: settings with several values, and the sheet that comes of them."""

import os
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from nst_jax import devices, images, run, show, transfer
from nst_jax.show import figures, probes, variations

SHALLOW = ("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1")
RANDOM = ("--weights=random", "--device=cpu")
FILES = ("--content=photo.png", "--output=sheet.png")
SMALL = ("--size=96", "--steps=2", *SHALLOW, *RANDOM, *FILES)
ONE = ("sweep", "--style=painting.png", *SMALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: a photo of 64x48 and two paintings of one size."""
    draw = np.random.default_rng(0)
    sizes = {"photo": (48, 64), "painting": (40, 40), "another, one": (40, 40)}
    for index, (name, size) in enumerate(sizes.items()):
        pixels = draw.integers(0, 256 >> index, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sheets(monkeypatch):
    """What is drawn: title, note and rows."""
    drawn, whole = [], figures.png

    def png(title, note, rows):
        drawn.append((title, note, rows))
        return whole(title, note, rows)

    monkeypatch.setattr(figures, "png", png)
    return drawn


@pytest.fixture
def unpainted(monkeypatch):
    """The content instead of every picture."""

    def painted(pictures, weights, config, stopped):
        *_, final = pictures.values()
        return transfer.Result(final.content, None, 0, True)

    monkeypatch.setattr(probes, "painted", painted)


def labels(rows):
    return [(row.heading, *(panel.label for panel in row.panels)) for row in rows]


# Which settings vary


def axes(*arguments):
    plain, found = variations.split(arguments, {})
    return plain, {axis.name: axis.texts for axis in found}


@pytest.mark.parametrize(
    ("arguments", "plain", "varied"),
    [
        (["--tv_weight=1,2"], [], {"tv_weight": ("1", "2")}),
        (["-tv_weight", "1,2", "--quiet"], ["--quiet"], {"tv_weight": ("1", "2")}),
        (["--antialias=true,false"], [], {"antialias": ("true", "false")}),
        (["--antialias", "--steps=1"], ["--antialias", "--steps=1"], {}),
        (["--style=a.png"], ["--style=a.png"], {}),
        (["--style=a.png,b.png"], [], {"style": ("a.png", "b.png")}),
        (['--style="a, b.png",c.png'], [], {"style": ("a, b.png", "c.png")}),
        (["--style_scale=1,2"], [], {"style_scale": ("1", "2")}),
        (["--color=none,histogram"], [], {"color": ("none", "histogram")}),
        (["--preset=a,b"], [], {"preset": ("a", "b")}),
        (["--seed=1,2", "--seed=3"], ["--seed=3"], {}),
        (["--seed=3", "--seed=1,2"], ["--seed=3"], {"seed": ("1", "2")}),
        (["--steps=4,5,4"], [], {"steps": ("4", "5")}),
        # These are lists by themselves, or of no picture's concern.
        (["--style_layers=relu1_1,relu2_1"], ["--style_layers=relu1_1,relu2_1"], {}),
        (["--scales=64,128"], ["--scales=64,128"], {}),
        (["--quality=1,2"], ["--quality=1,2"], {}),
    ],
)
def test_settings_with_several_values_are_taken_out(arguments, plain, varied):
    assert axes(*arguments) == (plain, varied)


def test_the_first_setting_changes_fastest():
    plain, found = variations.split(
        ["--seed=1,2", "--style=a,b", "--quiet"], {"size": 9}
    )
    assert [*variations.arguments(plain, found)] == [
        ["--size=9", "--quiet", f"--seed={seed}", f"--style={style}"]
        for style in "ab"
        for seed in (1, 2)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs a setting with several values"),
        (("--style_weight=1,x",), "--style_weight must be a number, got 'x'"),
        (("--style_weight=1,-1",), "--style_weight must be at least 0, got -1"),
        (("--style_weight=1,",), "--style_weight must be a number, got ''"),
        (("--optimizer=adam,lbgfs",), "--optimizer must be one of"),
        (("--style=painting.png,none.png",), "'none.png' does not exist"),
        (("--seed=1,2", "--output=sheet.jpg"), "--output must end in .png"),
        (("--seed=1,2", "--output=photo.png"), "exists already"),
        (("--seed=1,2", "--output=photo.png", "--overwrite"), "a file that is read"),
        (("--seed=1,2", "--columns=3"), "--columns is not for sweep"),
        (
            (f"--seed={','.join(map(str, range(99)))}", "--size=900"),
            "50 million pixels at most, and 99 pictures of 900x675 px have more",
        ),
        (
            ("--steps=1,2", f"--seed={','.join(map(str, range(128)))}", "--size=300"),
            "32000 px a side is the most; ask for a smaller --size or fewer values",
        ),
        (
            ("--seed=1,2", "--steps=1,2", "--tv_weight=1,2", "--size=32,48"),
            "3 settings at most, got several values for --seed, --steps, --tv_weight,",
        ),
        ((f"--seed={','.join(map(str, range(257)))}",), "256 pictures at most, got"),
        (("--content_mask=a,b", "--seed=1,2"), "'a' does not exist"),
    ],
)
def test_wrong_requests_are_answered_before_any_work(
    folder, capsys, monkeypatch, arguments, words
):
    monkeypatch.setattr(probes, "networks", None)
    there = sorted(os.listdir())
    assert show.main([*ONE, *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert (said.out, sorted(os.listdir())) == ("", there)


# The sheet


def test_every_picture_is_the_one_that_a_run_makes(folder, sheets, capsys):
    given = ('--style=painting.png,"another, one.png"', "--style_weight=1e-3,1e6")
    moves = ("--optimizer=adam", "--steps=4")
    assert show.main(["sweep", *SMALL, *given, *moves]) == 0
    *_, (title, note, rows) = sheets
    assert title == "By style, style_weight"
    assert note.startswith("96x72 px, 4 steps of adam, vgg19 (random)")
    both = ("painting.png", "another, one.png")
    assert labels(rows) == [
        ("", "photo.png", *both),
        ("style_weight=1e-3", *both),
        ("style_weight=1e6", *both),
    ]
    again = (
        *SMALL,
        '--style="another, one.png"',
        "--style_weight=1e6",
        "--quiet",
        *moves,
    )
    assert run.main([*again, "--output=run.png"]) == 0
    wanted = images.read("run.png", max_pixels=10**6).pixels
    np.testing.assert_allclose(rows[2].panels[1].pixels, wanted, atol=0.5 / 255 + 1e-6)
    assert np.abs(rows[2].panels[0].pixels - wanted).max() > 0.02
    assert np.abs(rows[1].panels[1].pixels - wanted).max() > 0.02
    said = capsys.readouterr().out
    assert "\n3/4 painting.png, style_weight=1e6: " in said
    assert os.path.exists("sheet.png")


def test_a_third_setting_makes_more_rows(folder, sheets):
    given = ("--seed=1,2", "--steps=0,1", "--init=content,noise")
    assert show.main([*ONE, *given, "--quiet"]) == 0
    *_, (_, _, (first, *rows)) = sheets
    assert [row.heading for row in rows] == [
        f"steps={steps}, init={init}" for init in ("content", "noise") for steps in "01"
    ]
    content = first.panels[0].pixels
    one, two = rows[0].panels
    np.testing.assert_allclose(one.pixels, content, atol=1e-6)
    np.testing.assert_array_equal(one.pixels, two.pixels)
    one, two = rows[2].panels
    assert np.abs(one.pixels - two.pixels).max() > 0.02, "the seed is that of the noise"


def test_many_values_stand_in_rows_of_a_like_length(folder, sheets, unpainted):
    assert show.main([*ONE, f"--seed={','.join(map(str, range(9)))}"]) == 0
    *_, (_, _, (_, *rows)) = sheets
    assert [len(row.panels) for row in rows] == [5, 4]
    assert rows[1].panels[-1].label == "seed=8"


def compiling(*given):
    """The seconds that XLA compiles for each picture; 0 where nothing is compiled."""
    seconds, whole = [], probes.painted

    def painted(*arguments):
        before = devices.compile_seconds()
        result = whole(*arguments)
        seconds.append(devices.compile_seconds() - before)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "painted", painted)
        assert show.main(["sweep", *SMALL, *given, "--overwrite", "--quiet"]) == 0
    return seconds


@pytest.mark.usefixtures("room")
def test_one_shape_is_compiled_once(folder):
    styles = '--style=painting.png,"another, one.png"'
    moves = ("--optimizer=adam", "--box=none")  # as no other test has it
    given = (styles, "--style_weight=1,7", "--learning_rate=0.01,0.05")
    first, *rest = compiling(*given, *moves)
    assert first > 0
    assert rest == [0] * 7
    pooling = compiling("--style=painting.png", "--pooling=max,avg,max", *moves)
    assert pooling[0] > 0, "another network is another program"
    assert pooling[1:] == [0]


def test_a_style_is_shown_as_large_as_it_was_looked_at(folder, sheets, unpainted):
    assert show.main([*ONE, "--style_scale=0.3,2,1"]) == 0
    *_, (_, _, (first, _)) = sheets
    style = images.read("painting.png", max_pixels=10**6).pixels
    double = images.resize(style, (192, 192), filter="lanczos")
    wanted = images.resize(double, (96, 96), filter="lanczos")
    np.testing.assert_allclose(first.panels[1].pixels, wanted, atol=1e-5)


def test_presets_are_worked_on_at_the_small_size(folder, sheets, unpainted):
    given = ("--preset=gatys2016,neural-style", "--quiet")
    assert show.main(["sweep", *FILES, *RANDOM, "--style=painting.png", *given]) == 0
    *_, (_, note, rows) = sheets
    assert note.startswith("192x144 px")
    assert [panel.label for panel in rows[1].panels] == [
        *("preset=gatys2016", "preset=neural-style")
    ]


def test_the_note_has_what_every_preset_is_moved_by(folder, sheets, unpainted, capsys):
    given = ("--preset=gatys2016,optimizer-study", "--steps=2", *RANDOM)
    assert show.main(["sweep", *FILES, "--style=painting.png", *given]) == 0
    *_, (_, note, _) = sheets
    assert note.startswith("192x144 px, 2 steps of lbfgs or adam, ")
    assert "2 steps of lbfgs or adam" in capsys.readouterr().out


def test_the_note_has_the_first_of_many_values(folder, sheets, unpainted):
    given = ("--quiet", "--steps=1,2,3,4,5,6")
    assert show.main([*ONE, *given, "--size=64,80"]) == 0
    *_, (_, note, _) = sheets
    steps = "1 or 2 or 3 or 4 or 5 or \u2026 steps"
    assert note.startswith(f"64x48 or 80x60 px, {steps} of lbfgs, vgg19")


def test_labels_are_whole_above_small_pictures(folder, sheets, unpainted):
    given = ("--quiet", "--size=64", "--noise_amplitude=0.25,0.125")
    assert show.main([*ONE, *given, '--style="another, one.png"']) == 0
    *_, (_, _, rows) = sheets
    assert labels(rows)[1] == ("", "noise_amplitude=0.25", "noise_amplitude=0.125")


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (MemoryError(), "out of memory"),
        (None, "the loss stopped being finite after step 2"),
    ],
)
def test_what_fails_is_shown_as_failed_and_the_rest_goes_on(
    folder, sheets, capsys, monkeypatch, fault, words
):
    whole = probes.painted

    def painted(pictures, weights, config, stopped):
        result = whole(pictures, weights, config, stopped)
        if config.inputs.seed != 2:
            return result
        if fault:
            raise fault
        return result._replace(is_finite=False)

    monkeypatch.setattr(probes, "painted", painted)
    assert show.main([*ONE, "--seed=1,2,3"]) == 1
    *_, (_, note, rows) = sheets
    assert [panel.label for panel in rows[1].panels] == [
        *("seed=1", "seed=2: failed", "seed=3")
    ]
    assert f"seed=2: {words}" in note
    assert rows[1].panels[1].pixels.shape == (72, 96, 3)
    assert "1 of 3 pictures could not be made" in capsys.readouterr().err
    assert os.path.exists("sheet.png")


def test_weights_that_are_not_to_be_had_end_it_at_once(folder, capsys):
    given = ("--seed=1,2", "--weights=nowhere.safetensors", "--quiet")
    assert show.main([*ONE, *given]) == 2
    assert "nowhere.safetensors" in capsys.readouterr().err
    assert not os.path.exists("sheet.png")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to oneself")
@pytest.mark.parametrize("after", [0, 1])
def test_an_interruption_keeps_what_is_made(folder, sheets, capsys, monkeypatch, after):
    assert threading.current_thread() is threading.main_thread()
    whole, seeds = probes.painted, []

    def painted(*arguments):
        seeds.append(arguments[2].inputs.seed)
        if len(seeds) == after + 1:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(*arguments)

    monkeypatch.setattr(probes, "painted", painted)
    assert show.main([*ONE, "--seed=1,2,3"]) == 130
    assert len(seeds) == after + 1
    assert os.path.exists("sheet.png") == (after > 0)
    said = capsys.readouterr().err
    if after:
        *_, (_, _, rows) = sheets
        assert [panel.label for panel in rows[1].panels] == [
            *("seed=1", "seed=2: failed", "seed=3: failed")
        ]
        assert "interrupted; 2 of 3 pictures could not be made" in said
    else:
        assert "interrupted; nothing was written" in said


def test_a_mixture_in_a_flagfile_stays_one(folder, sheets, unpainted):
    with open("mix.flags", "w") as file:
        file.write('--style=painting.png,"another, one.png"\n--style_weights=3,1\n')
    given = ("--flagfile=mix.flags", "--seed=1,2", "--quiet")
    assert show.main(["sweep", *SMALL, *given]) == 0
    *_, (_, _, rows) = sheets
    assert labels(rows) == [
        ("", "photo.png", "painting.png", "another, one.png"),
        ("", "seed=1", "seed=2"),
    ]
