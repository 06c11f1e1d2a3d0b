"""Make the pictures of docs/gallery.md: draw what they need, run its commands.

python scripts/make_gallery.py [--only=NAME,...] [--again]

The commands stand in docs/gallery.md alone. A picture that is there is left as it is,
so that the script may be stopped and started again; with --again it is made anew.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from drawing import glass, painting, portrait, scene
from drawing.noise import Floats, smoothstep
from drawing.raster import render
from PIL import Image
from scipy import ndimage

_ROOT = Path(__file__).parents[1]
_FOLDER = _ROOT / "docs" / "gallery"
_SCENE_SEED, _PAINTING_SEED = 1, 7  # those of examples/
_GLASS_SEED, _PORTRAIT_SEED = 3, 2
# Labels of regions, dark to light.
_WATER, _TOWN, _SKY = (20, 60, 90), (190, 90, 50), (150, 210, 250)
# Of the picture beside it, which is laid side by side.
_LAID = {"tile.jpg": "tile-2x2.jpg"}


def commands(page: str) -> list[list[str]]:
    """The arguments of every command on a page, after the program's name."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    rows = [row for block in blocks for row in block.replace("\\\n", "").splitlines()]
    start = "python -m nst_jax.run "
    return [shlex.split(row)[3:] for row in rows if row.startswith(start)]


def output(arguments: list[str]) -> Path:
    """The picture that a command makes."""
    (name,) = (each for each in arguments if each.startswith("--output="))
    return _ROOT / name.partition("=")[2]


def draw() -> None:
    """Draw the pictures and masks that the commands name, where they are missing."""
    drawn = {
        "glass.jpg": lambda: [glass.draw(_GLASS_SEED)],
        "portrait.jpg": lambda: portrait.draw(_PORTRAIT_SEED),
        "town-regions.png": lambda: [town_regions()],
        "style-regions.png": lambda: [style_regions()],
        "torn.jpg": torn,
    }
    second = {"portrait.jpg": "face.png", "torn.jpg": "tear.png"}
    for name, make in drawn.items():
        if (_FOLDER / name).exists():
            continue
        first, *rest = make()
        save(first, _FOLDER / name)
        for mask in rest:
            save(mask, _FOLDER / second[name])
    fill = np.asarray(Image.open(_FOLDER / "town-regions.png").convert("RGB"))
    if not (_FOLDER / "sky.png").exists():
        sky = (fill == _SKY).all(-1).astype(np.float32)
        save(ndimage.gaussian_filter(sky, 0.8), _FOLDER / "sky.png")


def save(picture: Floats, path: Path) -> None:
    """Write a picture in 0..1; masks as small PNG files."""
    pixels = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    if path.suffix == ".png":
        pixels.save(path, optimize=True)
    else:
        pixels.thumbnail((448, 448), Image.Resampling.LANCZOS)
        pixels.save(path, quality=86, optimize=True)
    print(f"{path.name}: {pixels.width}x{pixels.height}, {path.stat().st_size} bytes")


def town_regions() -> Floats:
    """Water, town and sky of examples/content.jpg, as a picture of labels."""
    building, _, _ = np.random.default_rng(_SCENE_SEED).spawn(3)
    camera = scene.viewpoint(0.5)  # drawn twice as large as that: the picture's size
    world = scene.build(building, 1.0)
    buffer = render(world.faces, world.leaves, camera)
    solid = buffer.number >= 0
    depth = 1 / np.where(solid, buffer.nearness, 1 / 900)
    above = camera.eye + camera.rays()[..., 1] * depth > 0
    labels = np.where(solid & above, 1, 0)
    labels[: camera.horizon][labels[: camera.horizon] == 0] = 2
    colours = np.array((_WATER, _TOWN, _SKY), np.float32) / 255
    return colours[commonest(labels, 3)][::2, ::2]


def commonest(labels: Any, count: int) -> Any:
    """The label that most of each pixel's neighbours have: specks and masts go."""
    shares = [
        ndimage.gaussian_filter((labels == k).astype(np.float32), 2.0)
        for k in range(count)
    ]
    return np.argmax(shares, axis=0)


def style_regions() -> Floats:
    """Of examples/style.jpg: its suns for the town, deep blue for water, the rest."""
    grey = Image.open(_ROOT / "examples" / "style.jpg").convert("L")
    light = ndimage.gaussian_filter(np.asarray(grey, np.float32) / 255, 9)
    h, w = light.shape
    labels = np.where(light > np.quantile(light, 0.42), 2, 0)
    y, x = np.mgrid[:h, :w]
    for column, row, radius, turn in painting.VORTICES[:5]:
        near = np.hypot(x - column * w, y - row * h) < 0.5 * abs(turn) * radius * w
        labels[near] = 1
    colours = np.array((_WATER, _TOWN, _SKY), np.float32) / 255
    return colours[commonest(labels, 3)][::2, ::2]


def torn() -> tuple[Floats, Floats]:
    """The painting with a tear across it, and where the tear is."""
    whole = Image.open(_ROOT / "examples" / "style.jpg")
    small = whole.resize((288, 240), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.float32) / 255
    h, w, _ = pixels.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    rng = np.random.default_rng(5)
    edge = ndimage.gaussian_filter1d(rng.standard_normal((2, w)), 5, axis=1)
    middle = 0.86 * h - 0.62 * h * x / w + 34 * edge[0]
    wide = (15 + 21 * edge[1]) * smoothstep(0.06 * w, 0.2 * w, x)
    wide *= smoothstep(0.95 * w, 0.8 * w, x)
    tear = smoothstep(1.5, -1.5, np.abs(y - middle) - np.maximum(wide, 0))
    tear *= wide > 2
    paper = 0.93 + 0.02 * rng.standard_normal((h, w, 1))
    hurt = pixels * (1 - tear[..., None]) + tear[..., None] * paper
    # A little more than the tear, so that its rim goes too.
    mask = ndimage.grey_dilation(tear, (5, 5))
    return np.clip(hurt, 0, 1), np.clip(mask, 0, 1)


def lay(path: Path) -> None:
    """Four copies of a tile, side by side."""
    tile = Image.open(path)
    laid = Image.new("RGB", (2 * tile.width, 2 * tile.height))
    for row in range(2):
        for column in range(2):
            laid.paste(tile, (column * tile.width, row * tile.height))
    laid.save(path.with_name(_LAID[path.name]), quality=86, optimize=True)


def main() -> None:
    """Draw, then run the commands one by one."""
    parser = argparse.ArgumentParser(description="Make the pictures of the gallery.")
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    draw()
    names = asked.only.split(",") if asked.only else []
    for arguments in commands((_ROOT / "docs" / "gallery.md").read_text()):
        path = output(arguments)
        if (path.exists() and not asked.again) or (names and path.stem not in names):
            continue
        print(f"{path.name} ...", flush=True)
        program = [sys.executable, "-m", "nst_jax.run", "--quiet", *arguments]
        subprocess.run(program, cwd=_ROOT, check=True)
        # The picture holds its settings; the copy beside it is not kept.
        path.with_suffix(".flags").unlink()
        if path.name in _LAID:
            lay(path)


if __name__ == "__main__":
    main()
