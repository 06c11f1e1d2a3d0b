"""Does the jobs: a thread for each device, each taking what is next."""

import functools
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from nst_jax import (
    batch,
    claim,
    devices,
    flags,
    job,
    progress,
    ready,
    scales,
    words,
)
from nst_jax.course import Job
from nst_jax.errors import RequestError
from nst_jax.job import Around
from nst_jax.many import entries, sheet, summary, there
from nst_jax.many.entries import Entry
from nst_jax.many.summary import Came
from nst_jax.many.whole import Plan, Shared, write

T = TypeVar("T")


class _Hand(NamedTuple):
    """What a thread works with."""

    plan: Plan
    shared: Shared
    around: Around
    watch: progress.Jobs


class _Group(NamedTuple):
    """Jobs whose steps are taken together, in a program for so many."""

    entries: Sequence[Entry]
    size: int


class _Begun(NamedTuple):
    """A job before its first step."""

    entry: Entry
    job: Job
    said: list[str]  # what was told of it
    loading: float  # seconds


def work(
    plan: Plan, shared: Shared, around: Sequence[Around], watch: progress.Jobs
) -> None:
    """Does all jobs that are left, or those before a signal."""
    write(plan, shared)
    if not plan.left:
        return
    if plan.batch not in ("auto", "1") and not any(
        _can_join(plan, e) for e in plan.left
    ):
        progress.warn(
            f"--batch={plan.batch} has no effect here: it needs an optimiser without a "
            "line search, one scale, and no files on the way"
        )
    # Before any thread: what fails here would end one of them alone.
    queue, turn = iter([*_groups(plan, around[0])]), threading.Lock()

    def worker(here: Around) -> None:
        hand = _Hand(plan, shared, here, watch)
        while not here.stopped():
            with turn:
                group = next(queue, None)
            if group is None:
                return
            running = {entry.number: Came("running") for entry in group.entries}
            _noted(hand, group.entries, running)
            is_one = group.size == 1
            found = _alone(hand, group.entries[0]) if is_one else _several(hand, group)
            _noted(hand, group.entries, found)
            for entry in group.entries:
                watch.done(entry.name, _line(found[entry.number]))

    try:
        _shared_out(worker, around)
    finally:
        write(plan, shared)


def _shared_out(worker: Callable[[Around], None], around: Sequence[Around]) -> None:
    """Has a worker for each device, and waits for all."""
    if len(around) == 1:
        worker(around[0])
        return
    threads = [threading.Thread(target=worker, args=(each,)) for each in around]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _groups(plan: Plan, around: Around) -> Iterator[_Group]:
    """The jobs that are left, those together whose steps are taken so."""
    for _, found in itertools.groupby(plan.left, lambda e: plan.kinds[e.number]):
        alike = [*found]
        size = _size(plan, alike, around)
        for first in range(0, len(alike), size):
            yield _Group(alike[first : first + size], size)


def _size(plan: Plan, alike: Sequence[Entry], around: Around) -> int:
    """How many of the jobs, all of one kind, are done together."""
    config, content = alike[0].config, plan.shapes[alike[0].number][0]
    usual = batch.usual(around.device, content)
    size = min(usual if plan.batch == "auto" else int(plan.batch), len(alike))
    if size == 1 or not all(_can_join(plan, entry) for entry in alike):
        return 1
    styles = [content] * len(config.inputs.style)
    settled = job.resolve(config, around.device)
    return min(size, batch.most(content, styles, settled))


def _can_join(plan: Plan, entry: Entry) -> bool:
    """Whether nothing is to be done between its steps, which are of one scale."""
    config, output = entry.config, entry.config.output
    pauses = (output.metrics, output.report, output.preview, output.checkpoint)
    long = max(plan.shapes[entry.number][0])
    is_one = len(scales.sizes(long, config.solve.scales)) == 1
    return batch.can_join(config) and is_one and not (any(pauses) or output.save_every)


def _noted(hand: _Hand, of: Sequence[Entry], found: Mapping[int, Came]) -> None:
    """Puts it into the summary, from which a start after a break reads it."""
    with hand.shared.lock:
        hand.shared.came.update(found)
        write(hand.plan, hand.shared, of)


def _alone(hand: _Hand, entry: Entry) -> dict[int, Came]:
    """What comes of one job, whatever it is."""
    said: list[str] = []
    since = time.monotonic()

    def whole() -> Came:
        with claim.held(entry.config.output) as troubles:
            return _finished(hand, _begun(hand, entry, said, troubles))

    came = _attempted(entry, said, whole)
    return {entry.number: came or _failed(said, time.monotonic() - since)}


def _several(hand: _Hand, group: _Group) -> dict[int, Came]:
    """What comes of jobs whose steps are taken together."""
    found: dict[int, Came] = {}
    begun: list[_Begun] = []
    for entry in group.entries:
        said: list[str] = []
        since = time.monotonic()
        made = _attempted(entry, said, functools.partial(_begun, hand, entry, said))
        if made:
            begun.append(made)
        else:
            found[entry.number] = _failed(said, time.monotonic() - since)
    began, compiled = time.monotonic(), devices.compile_seconds()
    after = _stepped(hand, begun, group.size)
    # Another thread's may be among them.
    compiling = devices.compile_seconds() - compiled
    share = max(0.0, time.monotonic() - began - compiling) / max(1, len(begun))
    for each in after:
        spent = share if each.job.ended else 0.0
        end = functools.partial(_finished, hand, each, spent)
        came = _attempted(each.entry, each.said, end)
        found[each.entry.number] = came or _failed(each.said, each.loading + spent)
    return found


def _stepped(hand: _Hand, begun: Sequence[_Begun], size: int) -> list[_Begun]:
    """The jobs after their steps; those are as they were that are to be done alone."""
    jobs = [each.job for each in begun]
    if not jobs or any(len(one.shapes) > 1 for one in jobs):
        return [*begun]
    try:
        jobs = job.steps_together(jobs, hand.around, size)
    # One by one they may have room, and say what is wrong.
    except Exception as error:
        progress.warn(f"{len(jobs)} jobs are done one by one: {words.fault(error)}")
    return [each._replace(job=one) for each, one in zip(begun, jobs, strict=True)]


def _attempted(entry: Entry, said: list[str], work: Callable[[], T]) -> T | None:
    """What it gives, or None where it fails, which is told."""
    with progress.overheard(said.append), progress.about(entry.name):
        try:
            return work()
        except RequestError as error:
            progress.warn(str(error))
        # Whatever it is, it is this job's alone.
        except Exception as error:
            progress.warn(words.fault(error))
    return None


def _begun(
    hand: _Hand, entry: Entry, said: list[str], troubles: Sequence[str] = ()
) -> _Begun:
    """The job before its first step."""
    since, shared = time.monotonic(), hand.shared
    owned = hand.plan.owned.get(entry.number, frozenset())
    # Where nothing is there to go on from, nobody need be told so.
    request = (entry if there.goes_on(entry) else entries.anew(entry)).request
    found = ready.checked(request, troubles, owned, hand.shared.read)
    with shared.lock:
        notes = [note for note in found.notes if note not in shared.told]
        shared.told.update(notes)

    def sees(step: int, image: Any) -> None:
        del image
        hand.watch.step(entry.name, step, found.files.steps)

    onlooker = progress.Onlooker(sees, lambda: False)
    origin = flags.origin(entry.request)
    told = job.Told(origin, notes, since, found.checkpoint, onlooker)
    given = found.config, found.files, found.pictures
    made = job.prepared(*given, told, hand.around)
    return _Begun(entry, made, said, time.monotonic() - since)


def _finished(hand: _Hand, begun: _Begun, together: float = 0.0) -> Came:
    """What comes of a job that has begun."""
    since = time.monotonic()
    outcome = job.done(begun.job, hand.around, begun.loading, together)
    seconds = begun.loading + together + time.monotonic() - since
    if outcome.end is None:
        return _failed(begun.said, seconds)
    last = outcome.end.last
    small = hand.shared.small
    if len(small) < sheet.MOST:
        with suppress(Exception):  # the sheet is no reason for anything
            small[begun.entry.number] = sheet.small(last.image)
    status: summary.Status = "done" if outcome.status == 0 else "failed"
    if outcome.status > 128:
        status = "interrupted"
    return Came(status, last.step, seconds, last.value, "; ".join(begun.said))


def _failed(said: Sequence[str], seconds: float) -> Came:
    return Came("failed", seconds=seconds, message="; ".join(said))


def _line(came: Came) -> str:
    """What came of a job, in a line."""
    if came.steps is None:
        return f"{came.status}: {came.message}"
    loss = "" if math.isnan(came.loss) else f", loss {came.loss:.4g}"
    plural = "s" * (came.steps != 1)
    return f"{came.status}: {came.steps} step{plural} in {came.seconds:.1f} s{loss}"
