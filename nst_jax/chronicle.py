"""What a run can tell of itself: rows, small pictures, faults and scales.

It is filled while the run goes on, and travels in its checkpoints, so that a run that
was cut off tells of all of its parts.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nst_jax.errors import RequestError
from nst_jax.inputs import Pixels

Row = dict[str, str]

_ROWS, _BETWEEN = "rows", "between/"


class Notes(NamedTuple):
    """What a report tells of the way."""

    rows: list[Row]
    between: list[tuple[int, Pixels]]


class Scale(NamedTuple):
    """What was done at one scale."""

    shape: tuple[int, int]
    steps: int
    ended: str  # "steps", or why not by them


class Course(NamedTuple):
    """How a job went so far."""

    notes: Notes
    recoveries: list[dict[str, Any]]
    scales: list[Scale]


def begun() -> Course:
    """The course of a run before its first step."""
    return Course(Notes([], []), [], [])


def facts(course: Course) -> dict[str, Any]:
    """What of it a checkpoint says."""
    scales = [each._asdict() for each in course.scales]
    return {"recoveries": list(course.recoveries), "scales": scales}


def arrays(course: Course) -> dict[str, np.ndarray]:
    """What of it are arrays of a checkpoint; their names are none of a state's."""
    rows, between = course.notes
    return {
        _ROWS: np.frombuffer(json.dumps(rows).encode(), np.uint8),
        **{
            f"{_BETWEEN}{step:06d}": np.rint(255 * image).astype(np.uint8)
            for step, image in between
        },
    }


def restored(about: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> Course:
    """The course that a checkpoint tells.

    Raises:
        RequestError: its rows or pictures are none.
    """
    try:
        rows = [
            {str(name): str(text) for name, text in row.items()}
            for row in json.loads(found[_ROWS].tobytes())
        ]
        for row in rows:
            int(row["step"])
        pictures = [
            (int(name.removeprefix(_BETWEEN)), _picture(array))
            for name, array in found.items()
            if name.startswith(_BETWEEN)
        ]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError(
            "the checkpoint's metrics or small pictures cannot be read "
            f"({type(error).__name__}); choose another --checkpoint, or allow "
            "--overwrite without --resume"
        ) from None
    between = sorted(pictures, key=lambda pair: pair[0])
    scales = [
        Scale((each["shape"][0], each["shape"][1]), each["steps"], each["ended"])
        for each in about["scales"]
    ]
    return Course(Notes(rows, between), list(about["recoveries"]), scales)


def _picture(array: np.ndarray) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError("no picture")
    return array.astype(np.float32) / 255
