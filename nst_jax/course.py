"""The course of a job: its steps, and what is done at each pause between them."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from nst_jax import (
    budget,
    inputs,
    progress,
    record,
    resume,
    scales,
    solve,
    trail,
    transfer,
    words,
)
from nst_jax.arrays import Weights
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.inputs import Inputs
from nst_jax.pictures import Pictures
from nst_jax.trail import Frame, Notes

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


class Scale(NamedTuple):
    """What was done at one scale."""

    shape: Shape
    steps: int
    ended: str  # "steps", or why not by them


class Course(NamedTuple):
    """How a job went, filled while it goes on."""

    notes: Notes
    recoveries: list[dict[str, Any]]
    scales: list[Scale]


def begun(job: Job) -> Course:
    """The course before its first step, or up to where it goes on."""
    stood = job.stood
    if stood is None:
        return Course(Notes([], []), [], [])
    return Course(Notes(stood.rows, []), stood.recoveries, [])


def run(
    job: Job, course: Course, stopped: Callable[[], int]
) -> tuple[Frame | None, str]:
    """The last frame, and what broke the run or an empty text."""
    config, last = job.config, None
    # Those of the scale at hand: scales that are done with are let go.
    keep_one = functools.lru_cache(maxsize=1)
    pictures = keep_one(functools.partial(inputs.at, job.inputs, config=config))
    earlier = job.stood.seconds if job.stood else 0.0
    keep = _keeper(job, course, time.monotonic() - earlier)
    with ExitStack() as stack:
        watch = progress.watch(job.files.steps, quiet=config.output.quiet)
        stack.callback(watch.close)
        leave = stack.enter_context(
            trail.trail(job.files, config.output, job.inputs, course.notes, earlier)
        )
        try:
            for now in _steps(job, pictures):
                last = frame(now, pictures, config)
                _note(job, course, now)
                if now.recovery is None:
                    watch.show(last.step, last.value)
                leave(last)
                keep(now, _is_end(job, now))
                if stopped():
                    keep(now, True)
                    break
        # Whatever it is, what is done so far is kept.
        except Exception as error:
            if last is None and isinstance(error, RequestError):
                raise
            return last, words.fault(error)
        return last, ""


def _steps(job: Job, pictures: Callable[[Shape], Pictures]) -> Iterator[solve.Progress]:
    """The steps of the job, in its time."""
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
        keep(now, course.notes.rows, course.recoveries, spent, ends=ends)

    return keep_if_due


def frame(
    now: solve.Progress, pictures: Callable[[Shape], Pictures], config: Config
) -> Frame:
    """The progress with its image on the host."""
    # A copy: a view would keep the next chunk from taking the image's memory over.
    rows, columns, _ = now.image.shape
    image = transfer.finish(now, pictures((rows, columns)), config).image
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
    counts = _counts(job)
    works = [
        count * math.prod(shape)
        for count, shape in zip(counts, job.shapes, strict=True)
    ]
    return budget.budget(pace, works, solving.max_seconds, job.since)


def _counts(job: Job) -> Sequence[int]:
    """The steps at each scale."""
    settings, count = job.config.solve, len(job.shapes)
    return [
        scales.steps_at(index, count, settings.steps, settings.scale_steps)
        for index in range(count)
    ]


def _is_end(job: Job, now: solve.Progress) -> bool:
    """Whether nothing follows."""
    is_done = now.step >= now.place.first + job.config.solve.steps
    rows, columns, _ = now.state.image.shape
    return (rows, columns) == job.shapes[-1] and (is_done or bool(now.halt))


def _note(job: Job, course: Course, now: solve.Progress) -> None:
    """Tells of a recovery or an early end, and keeps both."""
    rows, columns, _ = now.state.image.shape
    here = Scale((rows, columns), now.step - now.place.first, now.halt or "steps")
    if course.scales and course.scales[-1].shape == here.shape:
        course.scales.pop()
    course.scales.append(here)
    quiet = job.config.output.quiet
    if now.recovery:
        course.recoveries.append(words.recovered(now.recovery))
        optimizer = job.config.optimizer.optimizer
        progress.warn(words.recovery(now.recovery, optimizer))
    elif now.halt and not quiet:
        progress.say(words.halt(now.halt, now.step, (rows, columns)))
