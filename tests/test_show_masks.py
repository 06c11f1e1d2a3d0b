"""show masks: from two pictures to label images that a run reads."""

import os
import shlex

import numpy as np
import pytest
from PIL import Image

from nst_jax import images, regions, run, show
from nst_jax.images import labels
from nst_jax.show import figures, probes

RANDOM = ("--weights=random", "--device=cpu")
KINDS = np.random.default_rng(0).normal(size=(3, 24)).astype(np.float32)
# What lies where: rows of the photo, columns of the paintings.
PLANS = {
    "photo": np.repeat([0, 1, 2], 12)[:, None].repeat(36, 1),
    "painting": np.repeat([2, 0, 1], 12)[None].repeat(36, 0),
    "other": np.repeat([1, 0], 18)[None].repeat(36, 0),
}
SIZES = {"photo": (90, 120), "painting": (100, 80), "other": (64, 64)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder; the network knows the pictures by their brightness."""
    levels = {name: 60 + 60 * index for index, name in enumerate(PLANS)}
    for name, size in SIZES.items():
        pixels = np.full((*size, 3), levels[name], np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")

    def features(image, names, weights, config):
        level = round(float(image.mean()) * 255)
        plan = next(PLANS[name] for name, value in levels.items() if value == level)
        noise = np.random.default_rng(level).normal(size=(36, 36, 24))
        fine = (KINDS[plan] + 0.3 * noise).astype(np.float32)
        return {"relu4_1": fine, "relu5_1": fine[::2, ::2]}

    monkeypatch.setattr(probes, "features", features)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(style="painting.png", output="out", **others):
    values = {"content": "photo.png", "style": style, "output": output, "size": 72}
    given = [f"--{name}={value}" for name, value in (values | others).items()]
    return ["masks", *given, *RANDOM]


def regions_of(path, plan):
    """The label of each kind in a mask that was written, which must be clear."""
    found = labels.read([path], max_pixels=10**6)
    values = images.resize(found.values, plan.shape, filter="area")
    shares = {kind: values[plan == kind].mean(0) for kind in np.unique(plan)}
    assert all(share.max() > 0.85 for share in shares.values())
    return {int(kind): found.colours[share.argmax()] for kind, share in shares.items()}


def test_masks_match_and_are_as_large_as_their_pictures(folder, capsys):
    assert show.main(asked()) == 0
    assert sorted(each for each in os.listdir() if each.startswith("out")) == [
        *("out_content_mask.png", "out_regions.png", "out_style_mask.png")
    ]
    with (
        Image.open("out_content_mask.png") as one,
        Image.open("out_style_mask.png") as two,
    ):
        assert (one.size, two.size) == ((120, 90), (80, 100))
    first = regions_of("out_content_mask.png", PLANS["photo"])
    assert first == regions_of("out_style_mask.png", PLANS["painting"])
    assert {*first.values()} == {*regions.COLOURS[:3]}


def test_the_command_that_is_printed_runs(folder, capsys):
    os.rename("photo.png", "my photo.png")
    os.rename("painting.png", "one, two.png")
    flags = {"content": "my photo.png", "style": '"one, two.png"'}
    assert show.main(asked(**flags)) == 0
    said = capsys.readouterr().out
    program, rest = said[said.index("python -m ") :].split("nst_jax.run", 1)
    assert program == "python -m "
    words = shlex.split(rest.replace("\\\n", " "))
    assert any(word.startswith("--content_mask=") for word in words)
    small = ("--size=32", "--steps=0", "--quiet", *RANDOM)
    assert run.main([*words, *small]) == 0
    assert os.path.exists("out_result.png")


def test_a_folder_takes_the_files_by_their_own_names(folder, capsys):
    os.mkdir("masks")
    for _ in range(2):
        status = show.main(asked(output="masks"))
    assert status == 2
    assert "content_mask.png' exists already" in capsys.readouterr().err
    assert sorted(os.listdir("masks")) == [
        *("content_mask.png", "regions.png", "style_mask.png")
    ]


def test_a_second_style_may_lack_a_region(folder, capsys):
    assert show.main(asked(style="painting.png,other.png", regions=3)) == 0
    content = regions_of("out_content_mask.png", PLANS["photo"])
    assert content == regions_of("out_style_mask_1.png", PLANS["painting"])
    other = regions_of("out_style_mask_2.png", PLANS["other"])
    assert other == {kind: content[kind] for kind in (0, 1)}
    assert "style_mask_1.png,out_style_mask_2.png" in capsys.readouterr().out


def test_fewer_regions_than_asked_for_are_told(folder, capsys):
    assert show.main(asked(style="other.png", regions=3)) == 0
    assert "3 regions were asked for, and 2 were found" in capsys.readouterr().err
    assert len(regions_of("out_style_mask.png", PLANS["other"])) == 2


def test_the_figure_shows_each_region_in_both_pictures(folder, monkeypatch):
    drawn, whole = [], figures.png

    def png(title, note, rows):
        drawn.extend(rows)
        return whole(title, note, rows)

    monkeypatch.setattr(figures, "png", png)
    assert show.main(asked()) == 0
    assert [row.panels[0].label for row in drawn] == ["photo.png", "painting.png"]
    for row, plan in zip(drawn, (PLANS["photo"], PLANS["painting"]), strict=True):
        kinds = []
        for panel in row.panels[2:]:
            # A region is as it was, the rest is all but white.
            share = images.resize(1 - panel.pixels, plan.shape, filter="area")[..., 0]
            kinds.append(max(range(3), key=lambda kind: share[plan == kind].mean()))
        assert sorted(kinds) == [0, 1, 2]
        row_kinds = kinds if row is drawn[0] else row_kinds
        assert kinds == row_kinds, "one region stands in one column"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output": "out.png"}, "--output must be a folder or what the files' names"),
        ({"output": "none/deeper/"}, "the folder 'none/deeper' of 'content_mask.png'"),
        ({"output": "none/out"}, "the folder 'none' of 'out_content_mask.png'"),
        ({"regions": 1}, "--regions must be 2 to 8, got 1"),
        ({"size": 12}, "relu5_1 needs pictures of at least"),
        ({"style": "nowhere.png"}, "'nowhere.png' does not exist"),
        ({"columns": 2}, "--columns is not for masks"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(folder, capsys, change, words):
    there = sorted(os.listdir())
    assert show.main(asked(**change)) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert (said.out, sorted(os.listdir())) == ("", there)


def test_one_region_only_is_refused_and_nothing_written(folder, capsys, monkeypatch):
    monkeypatch.setitem(PLANS, "other", np.zeros((36, 36), int))
    assert show.main(asked(style="painting.png,other.png")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "'other.png' must have two regions in common" in said
    assert sorted(os.listdir()) == ["other.png", "painting.png", "photo.png"]
