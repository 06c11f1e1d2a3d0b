"""The gallery's commands are good ones, and its pictures are what they made."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_jax import config, flagfile, flags, images

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gallery.md"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        return importlib.import_module("make_gallery")


@pytest.fixture(scope="module")
def commands(script):
    found = script.commands(PAGE.read_text())
    assert len(found) == PAGE.read_text().count("python -m nst_jax.run")
    return found


def shown(page):
    return [PAGE.parent / name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)]


def rows(text):
    """The lines of a flagfile by the names of their settings."""
    found = [row[2:].partition("=") for row in text.splitlines() if row[:2] == "--"]
    return {name: value for name, _, value in found}


def test_every_command_parses_and_made_a_picture_of_the_page(
    script, commands, monkeypatch
):
    monkeypatch.chdir(ROOT)
    pictures = {path.resolve() for path in shown(PAGE.read_text())}
    for arguments in commands:
        path = script.output(arguments)
        assert path.resolve() in pictures
        request = flags.parse(arguments, read_settings=images.read_settings)
        asked = rows(flagfile.dump(request.config, folders=False))
        kept = rows(images.read_settings(path))
        for name in request.given - {"output", "overwrite"}:
            assert kept.get(name) == asked.get(name), (path.name, name)


def test_every_file_of_a_command_ships(commands, monkeypatch):
    monkeypatch.chdir(ROOT)
    for arguments in commands:
        asked = flags.parse(arguments, read_settings=images.read_settings).config
        paths = (asked.inputs.content, *asked.inputs.style, *asked.control.content_mask)
        control = asked.control
        for path in (*paths, *control.style_mask, control.protect, control.fill):
            assert not path or Path(path).is_file()


def test_pictures_are_there_and_small():
    pictures = shown(PAGE.read_text())
    assert len(pictures) > 10
    for path in pictures:
        with Image.open(path) as picture:
            assert max(picture.size) <= 768
    used = {path.resolve() for path in pictures}
    used |= {PAGE.parent / "gallery" / "common.flags"}
    # Who runs a command has its settings beside the picture: git ignores those.
    kept = {path.with_suffix(".flags") for path in used}
    folder = {path.resolve() for path in (PAGE.parent / "gallery").iterdir()}
    assert folder <= used | kept
    assert sum(path.stat().st_size for path in folder) < 1_500_000


def test_the_page_shows_every_control(commands):
    names = {argument.partition("=")[0][2:] for each in commands for argument in each}
    fields = set(vars(config.ControlConfig()))
    fields -= {"protect_weight"}  # says more of --protect
    assert fields | {"noise", "style_layers", "style_scale", "style_weights"} <= names


def test_the_tile_has_no_seam():
    """Differences across the borders, in deviations of those between inner lines."""
    with Image.open(PAGE.parent / "gallery" / "tile.jpg") as picture:
        tile = np.asarray(picture, np.float64)
    for axis in (0, 1):
        lines = np.moveaxis(tile, axis, 0)
        inside = np.abs(np.diff(lines, axis=0)).mean((1, 2))
        across = np.abs(lines[0] - lines[-1]).mean()
        assert (across - inside.mean()) / inside.std() < 3
    with Image.open(PAGE.parent / "gallery" / "tile-2x2.jpg") as picture:
        assert picture.size == (2 * tile.shape[1], 2 * tile.shape[0])
