"""The files that were handed in, in a folder of this program's own.

Each lies in a folder with a number of ours, under the letters and digits of the name
that its sender gave it: a name is kept because the record in a result tells it, and
it never decides where something is read or written. No two have the same, so that a
command line with bare names says which is which.
"""

import filecmp
import os
import re
import secrets
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

from nst_jax import disk, images
from nst_jax.errors import RequestError
from nst_jax.images import decode

Shape = tuple[int, int]
# The longest side of what the page shows, and how well.
SIDE, _QUALITY = 1280, 88
# The largest view without loss, in bytes.
_LARGEST_EXACT = 300_000
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
    view: bytes  # for the page: JPEG, or PNG of what is grey, as masks are


class Shelf:
    """The pictures of a visit; its methods may be called from any thread."""

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        self.folder = folder
        self._max_pixels = max_pixels
        self._pictures: dict[str, Picture] = {}
        self._taken = 0
        # One at a time is decoded, which takes many times its size.
        self._adding = threading.Lock()

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
        """The picture in a file that lies in a room of its own, if it is one.

        A file that is here already, under the same name, is not kept twice.
        """
        with self._adding:
            try:
                return self._added(path)
            except MemoryError:
                self.drop(path)
                raise RequestError(
                    f"there is not enough memory to open {path.name!r}; make it "
                    "smaller and drop it again"
                ) from None
            except OSError as error:
                self.drop(path)
                raise not_kept(path, error) from None
            except BaseException:
                self.drop(path)
                raise

    def _added(self, path: Path) -> Picture:
        taken = {each.path.name.lower(): each for each in self._pictures.values()}
        name, number = path.name, 1
        while there := taken.get(name.lower()):
            if filecmp.cmp(there.path, path, shallow=False):
                self.drop(path)
                return there
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        pixels = self._pixels(path)
        rows, columns = pixels.shape[:2]
        seen, size = _exact(pixels) or view(pixels), path.stat().st_size
        has_settings = _has_settings(path)
        path = path.rename(path.with_name(name))
        picture = Picture(path.parent.name, path, (rows, columns), has_settings, seen)
        self._taken += size
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
        shutil.rmtree(path.parent, ignore_errors=True)

    def look_up(self, key: str) -> Picture:
        """The picture with that key."""
        if key not in self._pictures:
            raise RequestError("a picture is not here any more; drop it once more")
        return self._pictures[key]

    def _pixels(self, path: Path) -> decode.Pixels:
        return images.on_white(images.read(path, max_pixels=self._max_pixels))

    def bare(self, text: str) -> str:
        """Text in which the files of the visit, results too, have their bare names."""
        return bare(text, str(self.folder.parent), os.sep)


def bare(text: str, folder: str, mark: str) -> str:
    r"""Text in which files two folders deep in that folder have their bare names.

    >>> bare("/t/visit/results/7/a.png is empty", "/t/visit", "/")
    'a.png is empty'
    >>> path = r"C:\t\results\7\a.png"
    >>> bare(f"{path!r} or {path}", r"C:\t", "\\")
    "'a.png' or a.png"
    """
    # A message that quotes a name has the marks of Windows twice.
    between = r"\\+" if mark == "\\" else re.escape(mark)
    whole = between.join(map(re.escape, folder.split(mark)))
    inside = f"{between}[a-z]+{between}[0-9a-f]+{between}"
    return re.sub(whole + inside, "", text)


def not_kept(path: Path, error: OSError) -> RequestError:
    """What is said of a file that the disk did not take."""
    return RequestError(
        f"{path.name!r} could not be kept ({disk.reason(error)}); make room on the "
        "disk and drop it again"
    )


def view(pixels: decode.Pixels) -> bytes:
    """The picture as JPEG, as large as a page shows it."""
    return images.encoded("view.jpg", _small(pixels), quality=_QUALITY)


def _small(pixels: decode.Pixels) -> decode.Pixels:
    rows, columns = pixels.shape[:2]
    smaller = min(1.0, SIDE / max(rows, columns))
    shape = max(1, round(rows * smaller)), max(1, round(columns * smaller))
    return images.resize(pixels.clip(0, 1), shape, filter="box")


def _exact(pixels: decode.Pixels) -> bytes:
    """The picture as PNG if it is grey; nothing if not, or if that were large.

    The page paints on with a mask as it sees it, and JPEG has waves at its edges.
    """
    if not (pixels == pixels[..., :1]).all():
        return b""
    data = images.encoded("view.png", _small(pixels))
    return data if len(data) <= _LARGEST_EXACT else b""


def kind(view: bytes) -> str:
    """The media type of a view."""
    return "image/png" if view.startswith(b"\x89PNG") else "image/jpeg"


def plain(name: str) -> str:
    r"""What is kept of a file's name: no folders, no signs that mean something.

    >>> plain("../../etc/pass;wd.png"), plain("C:\\Bilder\\Müller 3.jpg"), plain("..")
    ('pass_wd.png', 'Müller_3.jpg', 'picture')
    >>> plain("con.tar.gz"), plain("COM¹.png")
    ('_con.tar.gz', '_COM¹.png')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in last)
    stem, dot, suffix = kept.strip("._-").rpartition(".")
    stem, suffix = (stem, suffix[:8]) if dot else (suffix, "")
    stem = stem[:_LONGEST_NAME] or "picture"
    if stem.lower().partition(".")[0].rstrip("0123456789¹²³") in _DEVICES:
        stem = f"_{stem}"
    return f"{stem}.{suffix}" if suffix else stem


def _has_settings(path: Path) -> bool:
    try:
        images.read_settings(path)
    except RequestError:
        return False
    return True
