"""All jobs together: what is to be done, and what has been. Knows no JAX."""

import threading
import time
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

from nst_jax import disk, images, inputs
from nst_jax.many import sheet, summary
from nst_jax.many.entries import Entry, Shape
from nst_jax.many.summary import Came

# Pictures that are kept, and the most numbers in each: 16 million pixels.
_KEPT, _SMALL = 4, 3 * 2**24

# Seconds between two times that the whole summary is written: it may be long.
_PAUSE = 10.0


class Plan(NamedTuple):
    """What is to be done."""

    entries: Sequence[Entry]  # all that are told of, in their own order
    left: Sequence[Entry]  # those to be done, in the order in which they are
    owned: dict[int, frozenset[str]]  # files that a job may replace, by row
    shapes: dict[int, tuple[Shape, ...]]  # the result's and its styles' files', by row
    kinds: dict[int, Hashable]  # what is equal where jobs may be done together, by row
    batch: str  # how many together, as asked
    table: Path
    others: Sequence[summary.Cells] = ()  # rows of the summary that stay there


class Shared(NamedTuple):
    """What the threads share, filled while they work."""

    came: dict[int, Came]
    small: dict[int, sheet.Pixels]  # results, for the sheet
    told: set[str]  # what has been told already, and is true of many
    troubles: list[str]  # why the summary could not be written
    lock: threading.Lock  # of what came, and of what has been told
    read: inputs.Read
    written: list[float]  # when the whole summary was, at last

    def status(self, number: int) -> summary.Status:
        """What came of a row so far."""
        return self.came.get(number, Came()).status


def write(plan: Plan, shared: Shared, of: Sequence[Entry] = ()) -> None:
    """Puts the summary there, or adds rows to it; the first time that fails is noted.

    Args:
        plan: what is to be done.
        shared: what has been.
        of: the jobs of which there is news; without any all of it is written.
    """
    try:
        if of and shared.written and time.monotonic() < shared.written[0] + _PAUSE:
            summary.add(plan.table, of, shared.came)
            return
        summary.write(plan.table, plan.entries, shared.came, plan.others)
        shared.written[:] = [time.monotonic()]
    except OSError as error:
        if not shared.troubles:
            why = disk.reason(error)
            shared.troubles.append(f"{str(plan.table)!r} could not be written ({why})")


def reader() -> inputs.Read:
    """Reads pictures as `inputs.read_picture`, and keeps the last few small ones.

    A content is often that of the job before, or the style is.
    """
    kept: dict[tuple[str, int], images.Picture] = {}

    def read(path: str, max_pixels: int) -> images.Picture:
        key = path, max_pixels
        found = kept.pop(key, None) or inputs.read_picture(path, max_pixels)
        if found.pixels.size <= _SMALL:
            kept[key] = found  # behind those that were used before it
            for old in [*kept][:-_KEPT]:
                kept.pop(old, None)
        return found

    return read
