"""Make the strips of docs/controls.md: each setting at its values, side by side.

python scripts/make_controls.py [--only=NAME,...] [--again]

The settings and values stand in docs/controls.md alone. A strip that is there is left
as it is, so that the script may be stopped and started again; with --again it is made
anew.
"""

import argparse
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from nst_jax import run

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "controls.md"
_SHARED = "--flagfile=docs/controls/common.flags"
_SIDE, _GAP = 192, 6
# What stands on the page under each strip: the values in code, up to a blank line.
_ENTRY = re.compile(r"!\[[^]]*\]\((controls/[^)]+)\)\s+From the left:(.*?)\n\n", re.S)


def strips(page: str) -> dict[str, list[list[str]]]:
    """The arguments of every picture of each strip on a page, by the strip's file."""
    return {
        name: [[_SHARED, *shlex.split(each)] for each in re.findall("`([^`]+)`", text)]
        for name, text in _ENTRY.findall(page)
    }


def painted(arguments: Sequence[str], folder: Path) -> Image.Image:
    """The picture that a run with the arguments writes."""
    path = folder / "picture.png"
    asked = [*arguments, f"--output={path}", "--overwrite", "--quiet"]
    if run.main(asked):
        sys.exit(f"could not be made: {shlex.join(arguments)}")
    with Image.open(path) as picture:
        return picture.convert("RGB")


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures in a row, each as large as the first seen at the strip's size."""
    rows = round(pictures[0].height * _SIDE / pictures[0].width)
    width = len(pictures) * (_SIDE + _GAP) - _GAP
    strip = Image.new("RGB", (width, rows), "white")
    for place, picture in enumerate(pictures):
        small = picture
        if picture.size != (_SIDE, rows):
            small = picture.resize((_SIDE, rows), Image.Resampling.LANCZOS)
        strip.paste(small, (place * (_SIDE + _GAP), 0))
    return strip


def main() -> None:
    """Make the strips one by one."""
    parser = argparse.ArgumentParser(description="Make the strips of the controls.")
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    only = asked.only.split(",") if asked.only else []
    for name, values in strips(_PAGE.read_text("utf-8")).items():
        path = _PAGE.parent / name
        if (path.exists() and not asked.again) or (only and path.stem not in only):
            continue
        since = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            made = [painted(arguments, Path(folder)) for arguments in values]
        beside(made).save(path, quality=80, method=6)
        seconds = time.monotonic() - since
        print(f"{path.name}: {path.stat().st_size} bytes, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
