"""The files that were handed in, in a folder of this program's own.

Each lies in a folder with a number of ours, under the letters and digits of the name
that its sender gave it: a name is kept because the record in a result tells it, and
it never decides where something is read or written.
"""

import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

from nst_jax import images
from nst_jax.errors import RequestError
from nst_jax.images import decode

Shape = tuple[int, int]
# The longest side of what the page shows, and how well.
SIDE, _QUALITY = 1280, 88
_LONGEST_NAME = 48
_MOST_FILES, _MOST_BYTES = 1000, 2**32
# Names that Windows keeps for devices.
_DEVICES = {"con", "prn", "aux", "nul", "com", "lpt"}


class Picture(NamedTuple):
    """A picture that was handed in."""

    key: str
    path: Path
    shape: Shape
    has_settings: bool
    view: bytes  # as JPEG, for the page


class Shelf:
    """The pictures of a visit; its methods may be called from any thread."""

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        self.folder = folder
        self._max_pixels = max_pixels
        self._pictures: dict[str, Picture] = {}
        self._taken = 0

    def room(self, name: str) -> Path:
        """A new path for a file to be handed in under that name."""
        if len(self._pictures) >= _MOST_FILES or self._taken >= _MOST_BYTES:
            raise RequestError(
                "the page has taken as many pictures as it may; start the program again"
            )
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder / plain(name)

    def add(self, path: Path) -> Picture:
        """The picture in a file that lies in a room of its own, if it is one."""
        try:
            pixels = self._pixels(path)
        except RequestError:
            self.drop(path)
            raise
        rows, columns = pixels.shape[:2]
        picture = Picture(
            path.parent.name, path, (rows, columns), _has_settings(path), view(pixels)
        )
        self._taken += path.stat().st_size
        self._pictures[picture.key] = picture
        return picture

    def holds(self, path: str) -> bool:
        """Whether that is the path of a picture that was handed in."""
        return any(path == str(each.path) for each in [*self._pictures.values()])

    def shown(self, path: Path) -> bytes:
        """The picture in a file of ours, as JPEG for the page."""
        return view(self._pixels(path))

    def drop(self, path: Path) -> None:
        """Takes a file away that turned out to be none of a picture."""
        path.unlink(missing_ok=True)
        path.parent.rmdir()

    def look_up(self, key: str) -> Picture:
        """The picture with that key."""
        if key not in self._pictures:
            raise RequestError("a picture is not here any more; drop it once more")
        return self._pictures[key]

    def _pixels(self, path: Path) -> decode.Pixels:
        return images.on_white(images.read(path, max_pixels=self._max_pixels))

    def bare(self, text: str) -> str:
        """Text in which the files of the visit, results too, have their bare names."""
        mark = re.escape(os.sep)
        inside = f"{mark}[a-z]+{mark}[0-9a-f]+{mark}"
        return re.sub(re.escape(str(self.folder.parent)) + inside, "", text)


def view(pixels: decode.Pixels) -> bytes:
    """The picture as JPEG, as large as a page shows it."""
    rows, columns = pixels.shape[:2]
    smaller = min(1.0, SIDE / max(rows, columns))
    shape = max(1, round(rows * smaller)), max(1, round(columns * smaller))
    small = images.resize(pixels.clip(0, 1), shape, filter="box")
    return images.encoded("view.jpg", small, quality=_QUALITY)


def plain(name: str) -> str:
    r"""What is kept of a file's name: no folders, no signs that mean something.

    >>> plain("../../etc/pass;wd.png"), plain("C:\\Bilder\\Müller 3.jpg"), plain("..")
    ('pass_wd.png', 'Müller_3.jpg', 'picture')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in last)
    stem, dot, suffix = kept.strip("._-").rpartition(".")
    stem, suffix = (stem, suffix[:8]) if dot else (suffix, "")
    stem = stem[:_LONGEST_NAME] or "picture"
    if stem.lower().rstrip("0123456789") in _DEVICES:
        stem = f"_{stem}"
    return f"{stem}.{suffix}" if suffix else stem


def _has_settings(path: Path) -> bool:
    try:
        images.read_settings(path)
    except RequestError:
        return False
    return True
