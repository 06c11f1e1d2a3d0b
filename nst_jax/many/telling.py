"""What is told of many jobs: at their start, at their end, and on a sheet."""

import collections
import contextlib
from pathlib import Path

from nst_jax import disk, images, progress
from nst_jax.errors import RequestError
from nst_jax.many import sheet
from nst_jax.many.asking import Asked
from nst_jax.many.checks import Checked
from nst_jax.many.entries import Entry
from nst_jax.many.whole import Plan, Shared

_WORDS = {
    "done": "done",
    "there": "there before",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "broken off",
    "waiting": "not begun",
}


def first_line(asked: Asked, found: Checked) -> str:
    """How many jobs there are, of how many shapes."""
    number, parts = asked.jobs.part()
    part = f", part {number} of {parts}" if parts > 1 else ""
    there = len(found.entries) - len(found.left)
    before = f"; {there} of {len(found.entries)} were there" if there else ""
    kinds = len(found.kinds())
    shapes = f" in {kinds} shape{'s' * (kinds != 1)}" if kinds else ""
    return (
        f"{len(found.left)} job{'s' * (len(found.left) != 1)}{shapes} of "
        f"{asked.name}{part} into {str(asked.output)!r}{before}"
    )


def draw(asked: Asked, plan: Plan, shared: Shared) -> None:
    """Puts the contact sheet there, if it can be."""
    shown = plan.entries[: sheet.MOST]
    if not shown:  # there are more parts than jobs
        return
    styles = {entry.config.inputs.style for entry in plan.entries}
    # Of folders each row of the sheet is a content.
    columns = len(styles) if not asked.jobs.manifest and asked.is_whole else 0
    panels = [
        sheet.Panel(_small(entry, shared), Path(entry.name).stem) for entry in shown
    ]
    try:
        pixels = sheet.drawn(panels, columns)
        disk.write(asked.sheet, images.encoded(asked.sheet, pixels, quality=90))
    except (OSError, MemoryError, RequestError) as error:
        shared.troubles.append(
            f"{str(asked.sheet)!r} could not be written ({disk.reason(error)})"
        )


def _small(entry: Entry, shared: Shared) -> sheet.Pixels | None:
    """The result for the sheet, read again where it was there before."""
    there = shared.status(entry.number) in ("done", "there")
    if entry.number in shared.small or not there:
        return shared.small.get(entry.number)
    with contextlib.suppress(RequestError):
        found = images.read(
            entry.files.output, max_pixels=entry.config.inputs.max_pixels
        )
        return sheet.small(images.on_white(found))
    return None


def ended(asked: Asked, plan: Plan, shared: Shared, number: int, seconds: float) -> int:
    """Tells what came of all; the exit status, after the signal of that number."""
    status: dict[str, str] = {e.name: shared.status(e.number) for e in plan.entries}
    counts = collections.Counter(status.values())
    told = [f"{counts[name]} {word}" for name, word in _WORDS.items() if counts[name]]
    asked.say(f"{asked.table}: {', '.join(told) or 'no jobs'}, in {seconds:.1f} s")
    failed = [name for name, each in status.items() if each == "failed"]
    if failed:
        progress.warn(
            f"{len(failed)} of {len(plan.left)} jobs failed, {_some(failed)}; the same "
            "command does them again"
        )
    for trouble in shared.troubles:
        progress.warn(trouble)
    if number:
        return 128 + number
    is_all = {*status.values()} <= {"done", "there"}
    return int(not is_all or bool(shared.troubles))


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
