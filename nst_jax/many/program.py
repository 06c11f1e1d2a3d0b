"""Many jobs from the command line: all checked, then done; the exit status.

0 where all are done, 1 where some failed, 2 where the request was wrong and nothing was
done, 130 or 143 where a signal ended it.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from nst_jax import flags, locks, progress, signals
from nst_jax.errors import RequestError
from nst_jax.many import (
    asking,
    checks,
    entries,
    folders,
    manifest,
    places,
    summary,
    telling,
)
from nst_jax.many.asking import Asked
from nst_jax.many.checks import Checked
from nst_jax.many.entries import Entry, Where
from nst_jax.many.whole import Plan, Shared, reader
from nst_jax.many.wrong import Wrong


def main(given: flags.Given) -> int:
    """Does the jobs; the exit status."""
    since = time.monotonic()
    given, asked = asking.asked(given)
    wrong = Wrong({})
    rows = _rows(given, asked, wrong)
    count = len({row.number for row in rows} | wrong.numbers())
    every = _entries(rows, given, asked, wrong)
    number, parts = asked.jobs.part()
    mine = every[number::parts]
    with (
        places.made(mine, asked.output) as stay,
        _held(asked) as is_ours,
    ):
        if not is_ours:
            raise RequestError(
                f"another run is at work in --output={str(asked.output)!r}; wait until "
                "it ends, or choose another folder"
            )
        before = summary.before(asked.table, asked.sheet, overwrite=asked.overwrite)
        found = checks.checked(mine, asked, before.begun, wrong)
        loads = []
        if found.left and not wrong.rows and not asked.dry_run:
            loads = _loads(asked)
            checks.check_weights(found.left, loads[0][1], wrong)
        wrong.check(asked.name, count)
        asked.say(telling.first_line(asked, found))
        if asked.dry_run:
            asked.say(f"would write into {str(asked.output)!r}; wrote nothing")
            return 0
        stay()
        return _worked(asked, found, loads, before.rows, since)
    raise AssertionError("the block returns")


def _rows(given: flags.Given, asked: Asked, wrong: Wrong) -> list[manifest.Row]:
    if asked.jobs.manifest:
        return manifest.read(Path(asked.jobs.manifest), wrong)
    found = folders.read(given.values)
    for line in found.said:
        asked.say(line)
    return found.rows


def _entries(
    rows: Sequence[manifest.Row], given: flags.Given, asked: Asked, wrong: Wrong
) -> list[Entry]:
    """The jobs of the rows, whose files are apart from each other."""
    table = asked.jobs.manifest
    sources = (table,) if table else ()
    where = Where(Path(table).parent, asked.output, sources)
    found = entries.made(rows, entries.base(given), where, wrong)
    taken = {
        asked.table: "the summary",
        asked.sheet: "the contact sheet",
        **{Path(path): "the table of jobs" for path in sources},
    }
    entries.check_apart(found, taken, wrong)
    return found


@contextlib.contextmanager
def _held(asked: Asked) -> Iterator[bool]:
    """A block in which no other run does these jobs, or whether one does."""
    number, parts = asked.jobs.part()
    name = f".nst_jax-jobs-{number}-of-{parts}.lock"
    with contextlib.ExitStack() as stack:
        is_ours = True
        with contextlib.suppress(OSError):  # a file system without locks
            is_ours = stack.enter_context(locks.held(asked.output, name=name))
        yield is_ours and not any(map(_is_held, _shared_otherwise(asked)))


def _shared_otherwise(asked: Asked) -> list[Path]:
    """Locks of runs whose parts are others, so that their jobs may be these."""
    mine = f"-of-{asked.jobs.part()[1]}.lock"
    found = asked.output.glob(".nst_jax-jobs-*-of-*.lock")
    return [path for path in found if not path.name.endswith(mine)]


def _is_held(lock: Path) -> bool:
    with contextlib.suppress(OSError), locks.held(lock.parent, name=lock.name) as free:
        return not free
    return False


def _loads(asked: Asked) -> list[tuple[Any, checks.Load]]:
    """Each device that does jobs, and what gives it the weights for one."""
    asked.prepare_jax()
    from nst_jax import devices

    if asked.is_spread:
        found = [devices.pick(asked.device)]
    else:
        found = devices.at_hand(asked.device)
    return [(each, checks.loader(each, quiet=asked.quiet)) for each in found]


def _worked(
    asked: Asked,
    found: Checked,
    loads: Sequence[tuple[Any, checks.Load]],
    others: Sequence[summary.Cells],
    since: float,
) -> int:
    """Does the jobs that are left, and tells of all; the exit status."""
    from nst_jax import job
    from nst_jax.many import work

    if found.left:
        _say_where(asked, found, [device for device, _ in loads])
    shared = Shared(found.came, {}, set(), [], Lock(), reader(), [])
    plan = Plan(
        found.entries,
        found.left,
        found.owned,
        found.shapes,
        {e.number: checks.kind(e, found.shapes[e.number][:1]) for e in found.left},
        asked.jobs.batch,
        asked.table,
        others,
    )
    watch = progress.jobs(len(found.left), quiet=asked.quiet)
    with signals.interruptible() as stopped, contextlib.closing(watch):
        around = [job.Around(device, load, stopped) for device, load in loads]
        work.work(plan, shared, around, watch)
        number = stopped()
    if not number:
        telling.draw(asked, plan, shared)
    return telling.ended(asked, plan, shared, number, time.monotonic() - since)


def _say_where(asked: Asked, found: Checked, there: Sequence[Any]) -> None:
    """Tells on what the jobs are done, and how the first is."""
    from nst_jax import devices, job, words

    warning = devices.warning(there[0])
    if warning:
        progress.warn(warning)
    where = devices.describe(there[0])
    if asked.is_spread:
        where = devices.described(asked.devices)
    if len(there) > 1:
        where = f"{len(there)} devices, each {where}"
    first = found.left[0]
    settled = job.resolve(first.config, there[0])
    shapes = found.shapes[first.number][:1]
    line = words.first_line(settled, first.files, shapes, where)
    asked.say(f"{line}, in {first.name!r}, the first of them")
