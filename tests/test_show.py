"""The commands of show, from arguments to figures, tables and exit status."""

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_jax import flags, images, objective, pretrained, run, show, transfer
from nst_jax.arrays import LossTerms
from nst_jax.config import Config, NetworkConfig, ObjectiveConfig, SolveConfig
from nst_jax.show import figures, probes
from nst_jax.show.asked import ShowConfig

RANDOM = ("--weights=random", "--device=cpu", "--quiet")
SMALL = ("--size=32", *RANDOM)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a photo of 64x48 and a painting of 40x50."""
    generator = np.random.default_rng(0)
    for name, (rows, columns) in {"photo": (48, 64), "painting": (50, 40)}.items():
        slope = np.linspace(0, 200, columns)[None, :, None]
        noise = generator.integers(0, 55, (rows, columns, 3))
        Image.fromarray((slope + noise).astype(np.uint8)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def random_weights():
    return pretrained.load("vgg19", "random", quiet=True, announce=lambda line: None)


@pytest.fixture
def sheets(monkeypatch):
    """What is drawn: titles and rows of panels, in order."""
    drawn, whole = [], figures.png

    def png(title, note, rows):
        drawn.append((title, rows))
        return whole(title, note, rows)

    monkeypatch.setattr(figures, "png", png)
    return drawn


def refused(capsys, *arguments):
    """The one line that a refused request is answered with."""
    there = sorted(os.listdir())
    assert show.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("nst-jax: ")
    assert said.out == ""
    assert sorted(os.listdir()) == there
    return said.err


# The command line


def test_commands_are_listed_and_explained(capsys):
    for arguments in ((), ("--help",)):
        assert show.main(arguments) == 0
        said = capsys.readouterr().out
        assert all(f"\n  {name}" in said for name in show.COMMANDS)
        assert all(len(line) <= 88 for line in said.splitlines())


@pytest.mark.parametrize("name", show.COMMANDS)
def test_every_command_explains_its_flags(capsys, name):
    assert show.main([name, "--help"]) == 0
    said = capsys.readouterr().out
    command = show.COMMANDS[name]
    for flag in (*command.needed, *command.own, *command.shared):
        assert f"\n  --{flag}" in said
    for value in command.defaults.values():
        last = value[-1] if isinstance(value, tuple) else f"{value:g}"
        assert f"{last})" in " ".join(said.split())
    assert all(len(line) <= 88 for line in said.splitlines())


def test_own_flags_hide_none_of_a_run():
    own = vars(ShowConfig())
    assert not own.keys() & {*flags.settings(Config), *flags.usage.NOT_SETTINGS}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("filter",), "did you mean filters?"),
        (("--size=3", "network"), "got '--size=3'"),
        (("features", "--output=x.png"), "missing --image"),
        (("filters",), "missing --output: write --output=FIGURE.png"),
        (("network", "--sise=3"), "unknown flag --sise; did you mean --size?"),
        (("network", "--layer=relu1_1"), "did you mean --layers?"),
        (("network", "--layers=relu9_1"), "relu9_1"),
        (("network", "--columns=-1"), "--columns must be at least 0, got -1"),
        (("network", "--columns=4"), "--columns is not for network"),
        (("filters", "--output=x.jpg"), "--output must end in .png, got 'x.jpg'"),
        (("filters", "--output=no/x.png"), "does not exist"),
        (("network", "--csv=photo.png"), "exists already"),
        (("network", "--csv=photo.png", "--image=photo.png", "--overwrite"), "is read"),
        (("network", "--csv=photo.png", "--fill=photo.png", "--overwrite"), "is read"),
        (("reconstruct", "--output=x.png"), "--content=PHOTO, --style=PAINTING"),
        (
            ("reconstruct", "--output=x.png", "--style=photo.png,painting.png"),
            "several styles",
        ),
        (
            ("reconstruct", "--output=x.png", "--content=photo.png", "--strength=0.5"),
            "--strength is not for reconstruct",
        ),
        (
            ("reconstruct", "--output=x.png", "--style=photo.png", "--balance=range"),
            "--balance is not for reconstruct",
        ),
        (("features", "--image=none.png", "--output=x.png"), "does not exist"),
        (("network", "--device=abacus", "stray"), "unexpected argument 'stray'"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(folder, capsys, arguments, words):
    assert words in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("rule", "size"), [("long", 42), ("short", 32), ("height", 32), ("area", 37)]
)
def test_the_smallest_size_for_a_layer_is_named_and_works(folder, capsys, rule, size):
    asked = ("network", "--layers=pool5,relu1_1", f"--size_rule={rule}")
    asked = (*asked, "--image=photo.png")
    said = refused(capsys, *asked, "--size=20")
    assert "pool5 needs pictures of at least 32x32 px" in said
    assert said.endswith(f"the smallest --size for it is {size}\n")
    refused(capsys, *asked, f"--size={size - 1}")
    assert show.main([*asked, f"--size={size}"]) == 0


def test_a_picture_that_stays_small_is_refused_without_a_size(folder, capsys):
    Image.new("RGB", (40, 30)).save("small.png")
    asked = ("network", "--image=small.png", "--enlarge=none")
    assert "give a larger picture" in refused(capsys, *asked)


def test_wrong_requests_load_no_jax(folder):
    code = (
        "import sys; from nst_jax import show;"
        "assert show.main(['features', '--image=photo.png', '--output=x.txt']) == 2;"
        "assert show.main(['network', '--image=photo.png', '--size=64']) == 0;"
        "assert 'jaxlib' not in sys.modules, 'JAX is loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_program_ends_with_the_status(folder):
    command = [sys.executable, "-m", "nst_jax.show", "network", "--layers=relu0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_what_breaks_is_told_and_nothing_is_left(folder, capsys, monkeypatch):
    def full(weights):
        raise MemoryError

    monkeypatch.setattr(probes, "filters", full)
    assert show.main(["filters", "--output=x.png", *RANDOM]) == 1
    said = capsys.readouterr().err
    assert "out of memory" in said
    assert "written before that: nothing" in said
    assert not os.path.exists("x.png")


def test_what_was_written_before_a_fault_is_named(folder, capsys, monkeypatch):
    whole, names = figures.png, []

    def png(title, note, rows):
        names.append(title)
        if len(names) == 3:
            raise MemoryError
        return whole(title, note, rows)

    monkeypatch.setattr(figures, "png", png)
    asked = ("features", "--image=photo.png", "--output=maps.png", *SMALL)
    assert show.main([*asked, "--layers=relu1_1,pool1,relu2_1"]) == 1
    said = capsys.readouterr().err
    assert "out of memory" in said
    assert said.endswith("before that: 'maps_relu1_1.png', 'maps_pool1.png'\n")
    assert os.path.exists("maps_pool1.png")
    assert not os.path.exists("maps_relu2_1.png")


# What is shown


def test_network_prints_and_keeps_its_table(folder, capsys):
    asked = ("network", "--image=photo.png", "--size=64", "--csv=t.csv", "--quiet")
    assert show.main([*asked, "--layers=block2_conv1"]) == 0
    said = capsys.readouterr().out
    assert "64x48" in said
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["layer"] == "relu2_1"
    assert (rows[-1]["height"], rows[-1]["width"]) == ("24", "32")
    assert all(row["layer"] in said for row in rows)


def test_features_are_the_maps_in_order(folder, sheets, random_weights):
    asked = ("features", "--image=photo.png", "--output=maps.png", *SMALL)
    assert show.main([*asked, "--layers=block1_conv1,pool2"]) == 0
    assert sorted(os.listdir()) == [
        *("maps_pool2.png", "maps_relu1_1.png", "painting.png", "photo.png"),
    ]
    (first, rows), (second, _) = sheets
    assert "relu1_1" in first
    assert "64 maps of 32x24" in first
    assert "128 maps of 8x6" in second
    image = images.resize(
        images.read("photo.png", max_pixels=10**6).pixels, (24, 32), filter="lanczos"
    )
    config = Config(network=NetworkConfig(weights="random"))
    found = probes.features(image, ("relu1_1",), random_weights, config)["relu1_1"]
    panels = [panel for row in rows for panel in row.panels]
    for index in (0, 11, 63):
        colors = figures.colored(found[..., index])
        times = panels[index].pixels.shape[0] // 24
        shown = panels[index].pixels[::times, ::times]
        np.testing.assert_allclose(shown, colors, atol=1e-6)


def test_one_layer_goes_to_the_very_file(folder):
    asked = ("features", "--image=photo.png", "--output=maps.png", *SMALL)
    assert show.main(asked) == 0
    before = Path("maps.png").read_bytes()
    assert show.main(asked) == 2
    assert show.main([*asked, "--overwrite", "--layers=relu1_2"]) == 0
    assert Path("maps.png").read_bytes() != before


def test_filters_are_the_kernels_about_grey(random_weights):
    tiles = np.stack(probes.filters(random_weights))
    kernels = np.asarray(random_weights.params["conv1_1"]["kernel"])
    assert tiles.shape == (64, 3, 3, 3)
    assert tiles.min() >= 0
    assert tiles.max() <= 1
    assert min(1 - tiles.max(), tiles.min()) == pytest.approx(0, abs=1e-6)
    ratio = (tiles[7] - 0.5) / kernels[..., 7]
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-4)
    assert ratio[0, 0, 0] > 0


def test_filters_are_drawn(folder, sheets):
    assert show.main(["filters", "--output=f.png", "--columns=16", *RANDOM]) == 0
    ((_, rows),) = sheets
    assert [len(row.panels) for row in rows] == [16] * 4


def quick(**objective):
    return Config(
        objective=ObjectiveConfig(tv_weight=0.0, **objective),
        network=NetworkConfig(weights="random"),
        solve=SolveConfig(steps=10),
    )


def picture():
    values = np.random.default_rng(1).random((4, 5, 3)).astype(np.float32)
    return values.repeat(6, 0).repeat(6, 1)


def test_a_low_layer_gives_the_content_back(random_weights):
    image = picture()
    result = probes.content_of(image, "relu1_1", random_weights, quick())
    assert result.terms.total < 0.05, "of 1 at the noise"
    assert np.abs(result.image - image).mean() < 0.1


def test_a_strength_from_elsewhere_changes_no_reconstruction(random_weights):
    first = dataclasses.replace(
        quick(content_layers=("relu1_1",)), solve=SolveConfig(steps=1)
    )
    goal = dataclasses.replace(first.objective, strength=0.7)
    strong = dataclasses.replace(first, objective=goal)
    for made in (
        lambda config: probes.content_of(picture(), "relu1_1", random_weights, config),
        lambda config: probes.style_of(picture(), ("relu1_1",), random_weights, config),
    ):
        np.testing.assert_array_equal(made(strong).image, made(first).image)


@pytest.mark.parametrize(
    ("names", "shares"),
    [(("relu1_1", "relu2_1"), [0.5, 0.5]), (("relu1_1:3", "relu1_2:1"), [0.75, 0.25])],
)
def test_layers_start_at_their_shares_of_one(random_weights, names, shares):
    config = quick(content_layers=("relu1_1",))
    start = dataclasses.replace(config, solve=SolveConfig(steps=0))
    first = probes.style_of(picture(), names, random_weights, start).terms
    values = [float(value) for value in first.style.values()]
    np.testing.assert_allclose(values, shares, rtol=1e-4)
    assert float(first.total) == pytest.approx(1, rel=1e-4)


def test_reconstruct_draws_both_rows(folder, sheets, capsys):
    asked = ("reconstruct", "--content=photo.png", "--style=painting.png")
    layers = ("--content_layers=relu1_1", "--style_layers=relu1_1,relu1_2")
    assert show.main([*asked, *layers, "--output=r.png", "--steps=1", *SMALL]) == 0
    ((_, (style, content)),) = sheets
    assert [panel.label for panel in style.panels] == [
        *("painting.png", "relu1_1", "+ relu1_2")
    ]
    assert [panel.label for panel in content.panels] == ["photo.png", "relu1_1"]
    assert style.panels[1].pixels.shape == (32, 26, 3)
    assert content.panels[1].pixels.shape == (24, 32, 3)
    assert os.path.exists("r.png")


def test_reconstruct_takes_one_picture_as_well(folder, sheets):
    asked = ("reconstruct", "--content=photo.png", "--content_layers=relu1_1")
    assert show.main([*asked, "--output=r.png", "--steps=1", *SMALL]) == 0
    ((_, rows),) = sheets
    assert len(rows) == 1


def test_a_divergence_ends_with_one_and_keeps_the_figure(folder, monkeypatch, capsys):
    whole = transfer.stylize

    def wild(*arguments):
        return whole(*arguments)._replace(is_finite=False)

    monkeypatch.setattr(transfer, "stylize", wild)
    asked = ("reconstruct", "--content=photo.png", "--content_layers=relu1_1")
    assert show.main([*asked, "--output=r.png", "--steps=1", *SMALL]) == 1
    assert "content relu1_1 after step 1" in capsys.readouterr().err
    assert os.path.exists("r.png")


SHALLOW = ("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1:3")


def test_losses_are_those_that_a_run_measures(folder, capsys):
    files = ("--content=photo.png", "--style=painting.png")
    common = (*files, *SHALLOW, *RANDOM)
    made = ("--output=out.png", "--steps=2", "--metrics=m.csv", "--size=32")
    assert run.main([*common, *made]) == 0
    again = ("--init=out.png", "--steps=0", "--output=x.png", "--metrics=again.csv")
    assert run.main([*common, *again, "--size=32"]) == 0
    capsys.readouterr()
    assert show.main(["losses", "--image=out.png", "--csv=l.csv", *common]) == 0
    said = capsys.readouterr().out
    with open("again.csv", newline="") as one, open("l.csv", newline="") as two:
        (wanted,), (found,) = csv.DictReader(one), csv.DictReader(two)
    assert found.keys() == wanted.keys()
    for name in found.keys() - {"seconds"}:
        assert float(found[name]) == pytest.approx(float(wanted[name]), rel=1e-5)
    assert "style/relu2_1" in said
    assert "total " in said


def test_losses_have_the_weights_of_a_strength(folder, capsys):
    files = ("--image=photo.png", "--content=photo.png", "--style=painting.png")
    losses = []
    for strength in ("0.2", "0.7"):
        flags = (*files, *SHALLOW, *RANDOM, f"--strength={strength}")
        assert show.main(["losses", *flags]) == 0
        (row,) = (
            line.split()
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("style/relu1_1")
        )
        losses.append(row[-1])
    # Weights differ, and what they weigh does not.
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-4)


def test_the_table_has_every_term_with_its_weight():
    config = Config(
        objective=ObjectiveConfig(style_layers=("relu1_1:4",), style_weight=5.0)
    )
    found = LossTerms(
        {"relu4_2": np.float32(2)}, {"relu1_1": np.float32(60)}, tv=np.float32(1.5)
    )
    factors = objective.weights(config.objective, "vgg19")
    rows = {row.name: row for row in probes.named(found, factors)}
    assert [*rows][-1] == "total"
    assert rows["style/relu1_1"][1:] == (60, 20)
    assert rows["content/relu4_2"][1:] == (2, 1)
    assert rows["tv"].value == 1.5
    assert rows["total"].value == 63.5


def test_a_picture_of_another_size_is_not_resampled(folder, capsys):
    Image.new("RGB", (32, 20)).save("other.png")
    files = ("--image=other.png", "--content=photo.png", "--style=painting.png")
    said = refused(capsys, "losses", *files, *RANDOM)
    assert "32x24 px, got 32x20" in said
    assert "64x48 px, got 32x20" in refused(capsys, "losses", *files, "--size=64")
