"""What a run leaves on its way: rows of metrics, previews, numbered pictures, notes."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_jax import disk, images, metrics, progress
from nst_jax.arrays import LossTerms
from nst_jax.chronicle import Notes
from nst_jax.config import OutputConfig
from nst_jax.inputs import Inputs, Pixels
from nst_jax.record import Files

# For a report: pictures on the way, and the longest side of each.
_NOTED = 12
_NOTED_SIDE = 420


class Frame(NamedTuple):
    """A pause of the run with its image on the host, where it outlives the device."""

    step: int
    image: Pixels
    value: float
    terms: LossTerms | None
    is_finite: bool
    fault: int = 0  # what the run ends with, as `guard` counts them
    is_back: bool = False  # at an earlier step: what followed it is void


@contextmanager
def trail(
    files: Files,
    settings: OutputConfig,
    inputs: Inputs,
    notes: Notes,
    earlier: float = 0.0,
) -> Iterator[Callable[[Frame], None]]:
    """What is done at each pause, until the run ends.

    A run that goes on from an earlier one has its notes, and took `earlier` seconds.
    """
    started = time.monotonic() - earlier
    failed, made = list[Path](), set[Path]()

    def picture(path: Path, now: Frame, *, overwrite: bool, bit_depth: int) -> None:
        try:
            data = encoded(path, inputs, now, settings, bit_depth=bit_depth)
            disk.write(path, data, overwrite=overwrite or path in made)
            made.add(path)
        except OSError as error:
            if not failed:
                why = disk.reason(error)
                progress.warn(f"{str(path)!r} is left out ({why}); the run goes on")
            failed.append(path)

    def no_rows(error: OSError) -> None:
        why = disk.reason(error)
        progress.warn(f"no more rows of the metrics ({why}); the run goes on")

    with ExitStack() as stack:
        table = metrics.table(files.metrics, no_rows, overwrite=settings.overwrite)
        lines = stack.enter_context(table)

        before = list(notes.rows)

        def leave(now: Frame) -> None:
            if now.is_back:
                notes.rows[:] = [r for r in notes.rows if int(r["step"]) <= now.step]
                notes.between[:] = [n for n in notes.between if n[0] <= now.step]
            if now.is_back or before:
                lines.back(notes.rows)
                before.clear()
            # It may have been measured already, by the run that this one goes on from.
            if now.terms and not (notes.rows and _is_of(notes.rows[-1], now.step)):
                row = metrics.row(now.step, time.monotonic() - started, now.terms)
                lines.add(row)
                notes.rows.append(row)
            if files.report:
                _note(notes, now, files.steps)
            if files.preview and now.step % settings.preview_every == 0:
                ours = settings.overwrite or now.step > 0
                picture(files.preview, now, overwrite=ours, bit_depth=8)
            numbered = files.numbered(now.step)
            if numbered:
                depth = int(settings.bit_depth)
                picture(numbered, now, overwrite=settings.overwrite, bit_depth=depth)

        yield leave


def _is_of(row: dict[str, str], step: int) -> bool:
    return row["step"] == str(step)


def encoded(
    path: Path,
    inputs: Inputs,
    now: Frame,
    settings: OutputConfig,
    *,
    bit_depth: int,
    text: str | None = None,
) -> bytes:
    """The frame as a file's contents, with the content's opacity and the settings."""
    alpha = inputs.alpha
    if alpha is not None and alpha.shape != now.image.shape[:2]:
        # A scale before the last.
        alpha = images.resize(alpha, now.image.shape[:2], filter="area")
    return images.encoded(
        path,
        now.image,
        alpha=alpha,
        bit_depth=bit_depth,
        quality=settings.quality,
        settings=text,
    )


def _note(notes: Notes, now: Frame, steps: int) -> None:
    """Keeps a small picture, a dozen evenly over the run."""
    is_there = bool(notes.between) and notes.between[-1][0] == now.step
    if is_there or len(notes.between) * steps > now.step * (_NOTED - 1):
        return
    shape = now.image.shape[:2]
    smaller = min(1, _NOTED_SIDE / max(shape))
    size = (max(1, round(shape[0] * smaller)), max(1, round(shape[1] * smaller)))
    small = images.resize(np.clip(now.image, 0, 1), size, filter="area")
    notes.between.append((now.step, small))
