"""The course of a job: its steps, and what is done at each pause between them."""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from typing import NamedTuple

from nst_jax import (
    budget,
    chronicle,
    hosts,
    inputs,
    progress,
    record,
    resume,
    scales,
    signals,
    solve,
    stages,
    trail,
    transfer,
    words,
)
from nst_jax.arrays import Weights
from nst_jax.chronicle import Course, Scale
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.inputs import Inputs
from nst_jax.pictures import Pictures
from nst_jax.trail import Frame

Shape = tuple[int, int]


class Job(NamedTuple):
    """All that is known before the first step."""

    config: Config
    files: record.Files
    inputs: Inputs
    shapes: tuple[Shape, ...]  # from coarse to fine
    weights: Weights
    texts: record.Texts
    origin: str  # the preset, and whether it still is that
    since: float  # when the program began, by `time.monotonic`
    told: resume.Told  # what its checkpoints say
    stood: resume.Stood | None = None  # where it goes on
    onlooker: progress.Onlooker = progress.NOBODY
    ended: solve.Progress | None = None  # if its steps were taken with other jobs'


def begun(job: Job) -> Course:
    """The course before its first step, or up to where it goes on."""
    return job.stood.course if job.stood else chronicle.begun()


def run(
    job: Job,
    course: Course,
    stopped: Callable[[], int],
    end_now: Callable[[Frame | None, int], None] | None = None,
) -> tuple[Frame | None, str]:
    """The last frame, and what broke the run or an empty text.

    `stopped` gives the signal that asked it to end, or 0. If one comes while a scale is
    prepared and compiled, `end_now` is given the frame before and the signal, from
    another thread; without it that is waited for.
    """
    config, last = job.config, None
    # Those of the scale at hand: scales that are done with are let go.
    keep_one = functools.lru_cache(maxsize=1)
    pictures = keep_one(functools.partial(inputs.at, job.inputs, config=config))
    earlier = job.stood.seconds if job.stood else 0.0
    keep = _keeper(job, course, time.monotonic() - earlier)

    def end(number: int) -> None:
        if end_now:
            end_now(last, number)

    with ExitStack() as stack:
        watch = progress.watch(job.files.steps, quiet=config.output.quiet)
        stack.callback(watch.close)
        left = (
            trail.trail(job.files, config.output, job.inputs, course.notes, earlier)
            if hosts.writes()
            else nullcontext(_nothing)
        )
        leave = hosts.together(lambda: stack.enter_context(left))
        try:
            steps = _steps(job, pictures)
            for now in _breakable(job, steps, end) if end_now else steps:
                last = frame(now, pictures, config)
                _note(job, course, now)
                if now.recovery is None:
                    watch.show(last.step, last.value)
                leave(last)
                job.onlooker.sees(last.step, last.image)
                keep(now, _ends_scale(job, now))
                if stopped() or job.onlooker.stops():
                    keep(now, True)
                    return last, ""
            return _at_size(job, now, last, pictures), ""
        # Whatever it is, what is done so far is kept.
        except Exception as error:
            if last is None and isinstance(error, RequestError):
                raise
            return last, words.fault(error)


def _breakable(
    job: Job, steps: Iterator[solve.Progress], end: Callable[[int], None]
) -> Iterator[solve.Progress]:
    """The steps, among which a signal may break off what compiles."""
    now: solve.Progress | None = None
    for count in itertools.count():
        # What belongs to the first scale comes before the start, its loop behind it.
        compiles = now is None or count == 1 or _ends_scale(job, now)
        with signals.breakable(end) if compiles else nullcontext():
            now = next(steps, None)
        if now is None:
            return
        yield now


def _at_size(
    job: Job,
    now: solve.Progress,
    last: Frame | None,
    pictures: Callable[[Shape], Pictures],
) -> Frame | None:
    """The last frame at the size of the result, if there was no time for that scale."""
    if now.shape == job.shapes[-1] or not now.is_finite:
        return last
    if not job.config.output.quiet:
        progress.say(words.enlarged(now.shape, job.shapes[-1]))
    whole = stages.enlarged(now, job.shapes[-1], job.config)
    return frame(whole, pictures, job.config)


def _nothing(now: Frame) -> None:
    """What a process leaves that does not write."""


def _steps(job: Job, pictures: Callable[[Shape], Pictures]) -> Iterator[solve.Progress]:
    """The steps of the job, in its time."""
    if job.ended:
        return iter([job.ended])
    logs, timed = job.files.metrics or job.files.report, _timed(job)
    return transfer.steps(
        pictures,
        job.shapes,
        job.weights,
        job.config,
        pace=timed.pace,
        log_every=job.config.solve.log_every if logs else 0,
        start=job.stood.start if job.stood else None,
        began=timed.began,
    )


def _keeper(
    job: Job, course: Course, started: float
) -> Callable[[solve.Progress, bool], None]:
    """What keeps a checkpoint where one is due, or the run ends."""
    if not job.config.output.checkpoint:
        return lambda now, ends: None
    keep = resume.keeper(job.config.output, job.told, progress.warn)

    def keep_if_due(now: solve.Progress, ends: bool) -> None:
        spent = time.monotonic() - started
        keep(now, course, spent, ends=ends)

    return keep_if_due


def frame(
    now: solve.Progress, pictures: Callable[[Shape], Pictures], config: Config
) -> Frame:
    """The progress with its image on the host."""
    # A copy: a view would keep the next chunk from taking the image's memory over.
    image = transfer.finish(now, pictures(now.shape), config).image
    return Frame(
        now.step,
        image,
        now.value,
        now.terms,
        now.is_finite,
        now.fault,
        is_back=now.recovery is not None,
    )


def _timed(job: Job) -> budget.Budget:
    """The pace of the job: to where something is to be done, and within its time."""
    settings, solving = job.config.output, job.config.solve
    every = settings.checkpoint_steps() if settings.checkpoint else 0
    pace = progress.pace(
        lambda step: progress.until(
            step,
            settings.save_every,
            settings.preview_every if job.files.preview else 0,
            every,
        )
    )
    limits = budget.limits(
        solving.max_seconds,
        job.since,
        job.shapes,
        solving.steps,
        solving.scale_steps,
    )
    return hosts.in_step(budget.budget(pace, limits))


def _ends_scale(job: Job, now: solve.Progress) -> bool:
    """Whether nothing follows, or what does has to be compiled first."""
    settings, count = job.config.solve, len(job.shapes)
    steps = scales.steps_at(
        now.place.scale, count, settings.steps, settings.scale_steps
    )
    return now.step >= now.place.first + steps or bool(now.halt)


def _note(job: Job, course: Course, now: solve.Progress) -> None:
    """Tells of a recovery or an early end, and keeps both."""
    here = Scale(now.shape, now.step - now.place.first, now.halt or "steps")
    if course.scales and course.scales[-1].shape == here.shape:
        before = course.scales.pop()
        # A run that goes on from there does not know why it ended.
        here = before if before.steps == here.steps and not now.halt else here
    course.scales.append(here)
    quiet = job.config.output.quiet
    if now.recovery:
        course.recoveries.append(words.recovered(now.recovery))
        optimizer = job.config.optimizer.optimizer
        hosts.warn(words.recovery(now.recovery, optimizer))
    elif now.halt and not quiet:
        progress.say(words.halt(now.halt, now.step, now.shape))
