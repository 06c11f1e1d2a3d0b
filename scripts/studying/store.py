"""What a trial has found, kept in one file that is written whole or not at all."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from nst_jax import disk

# Measured at a row of the curves, in this order.
COLUMNS = ("step", "seconds", "cpu_seconds", "total", "content", "style", "tv")
_FAULTS = (OSError, ValueError, KeyError, zipfile.BadZipFile)


class Found(NamedTuple):
    """How far a trial has come.

    `rows` hold COLUMNS; `images` the picture at each mark that was reached; `leaves`
    what is needed to go on; `fault` is why it ended early, empty otherwise.
    """

    step: int = 0
    rows: tuple[tuple[float, ...], ...] = ()
    images: Mapping[int, Float32[np.ndarray, "_ _ 3"]] = MappingProxyType({})
    leaves: tuple[np.ndarray, ...] = ()
    compile_seconds: float = 0.0
    fault: str = ""
    made: Mapping[str, str] = MappingProxyType({})  # device, versions

    def is_done(self, marks: tuple[int, ...]) -> bool:
        """Whether nothing is left to compute."""
        return bool(self.fault) or set(marks) <= set(self.images)

    def at(self, mark: int) -> dict[str, float] | None:
        """The measured row at a mark, or the last one before a fault."""
        reached = [row for row in self.rows if row[0] <= mark]
        if not reached or (reached[-1][0] < mark and not self.fault):
            return None
        return dict(zip(COLUMNS, reached[-1], strict=True))


def write(path: Path, found: Found) -> None:
    """Puts it there, in place of what was found before."""
    arrays = {f"image{mark}": image for mark, image in found.images.items()}
    arrays |= {f"leaf{place}": leaf for place, leaf in enumerate(found.leaves)}
    about = found._replace(rows=(), images={}, leaves=(), made=dict(found.made))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        about=np.asarray(json.dumps(about._asdict())),
        rows=np.asarray(found.rows, np.float64).reshape(-1, len(COLUMNS)),
        **arrays,  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle
    )
    disk.write(path, buffer.getvalue())


def read(path: Path) -> Found:
    """What was found so far; nothing where there is no file, or a damaged one."""
    if not path.exists():
        return Found()
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return _found(dict(file))
    except _FAULTS:
        return Found()


def _found(arrays: dict[str, np.ndarray]) -> Found:
    about: dict[str, Any] = json.loads(str(arrays["about"]))
    leaves = sorted(int(name[4:]) for name in arrays if name.startswith("leaf"))
    marks = sorted(int(name[5:]) for name in arrays if name.startswith("image"))
    return Found(
        **about
        | {
            "rows": tuple(tuple(map(float, row)) for row in arrays["rows"]),
            "images": {mark: arrays[f"image{mark}"] for mark in marks},
            "leaves": tuple(arrays[f"leaf{place}"] for place in leaves),
        }
    )
