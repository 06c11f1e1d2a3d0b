"""What is known of a job before its first step, and where it goes on if it does."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nst_jax import (
    claim,
    conditions,
    disk,
    hosts,
    inputs,
    progress,
    record,
    resume,
    scales,
)
from nst_jax.arrays import Weights
from nst_jax.checkpoint import Checkpoint
from nst_jax.config import Config
from nst_jax.course import Job
from nst_jax.errors import RequestError
from nst_jax.inputs import Inputs

Shape = tuple[int, int]


class Told(NamedTuple):
    """What a job is told besides its settings and pictures."""

    origin: str  # the preset, and whether it still is that
    notes: Sequence[str]  # told before it starts, unless it is refused
    since: float  # when the program started, by `time.monotonic`
    checkpoint: Checkpoint | None = None  # that it goes on from
    onlooker: progress.Onlooker = progress.NOBODY


def job(
    config: Config,
    asked: Config,
    files: record.Files,
    given: Inputs,
    told: Told,
    texts: record.Texts,
    weights: Weights,
) -> Job:
    """All that is known before the first step; tells what is to be told of it.

    What was asked for decides whether a run goes on as this one, not what has been
    made of it to fit into this machine's memory.
    """
    shapes = inputs.shapes(given, config)
    styles = [picture.shape[:2] for picture in given.styles]
    made_with = conditions.here(config, shapes, styles)
    who = resume.identity(asked, given.files, weights.digest, made_with)
    stood, more = _stood(config, given, who, told)
    warn([*told.notes, *more])
    done = [*stood.resumed, stood.step] if stood else []
    return Job(
        config,
        _in_all(config, files, shapes, stood),
        given,
        shapes,
        weights,
        texts,
        told.origin,
        told.since,
        resume.Told(who, given.shape, _names(files), done),
        stood,
        told.onlooker,
    )


def _stood(
    config: Config, given: Inputs, who: resume.Identity, told: Told
) -> tuple[resume.Stood | None, list[str]]:
    """Where the run goes on, if it does, and what is to be told of it."""
    if told.checkpoint is None:
        return None, []
    extends = config.output.resume == "extend"
    stood = resume.stood(told.checkpoint, who.made_with)
    more = resume.check(told.checkpoint.about, who, given.shape, extends=extends)
    say(config, f"goes on after step {stood.step} of {config.output.checkpoint}")
    return stood, more


def _in_all(
    config: Config,
    files: record.Files,
    shapes: Sequence[Shape],
    stood: resume.Stood | None,
) -> record.Files:
    """The files with the steps of a run that goes on, and those before it."""
    start = stood.start if stood else None
    if start is None:
        return files
    settings = config.solve
    left = [shape for shape in shapes if max(shape) >= max(start.shape)]
    first = start.place.first if start.shape in left else stood.step if stood else 0
    counts = (
        scales.steps_at(
            shapes.index(shape), len(shapes), settings.steps, settings.scale_steps
        )
        for shape in left
    )
    return files._replace(steps=first + sum(counts))


def _names(files: record.Files) -> list[str]:
    """Every file of the run, by a name that means the same from everywhere."""
    return [disk.whole(path) for path in files.single()]


def start_checkpoints(job: Job) -> None:
    """Makes the folder of the checkpoints this run's."""
    folder = job.config.output.checkpoint
    if not folder or not hosts.writes():
        return
    claim.clear_halves(Path(folder))
    if job.stood:
        return
    try:
        resume.first(Path(folder), job.told)
    except OSError as error:
        raise RequestError(
            f"--checkpoint={folder} cannot be written ({disk.reason(error)}); choose "
            "another folder"
        ) from error


def warn(notes: Sequence[str]) -> None:
    """Tells each in a line."""
    for note in notes:
        hosts.warn(note)


def say(config: Config, line: str) -> None:
    """Prints the line, unless all is to be quiet."""
    if not config.output.quiet:
        progress.say(line)
