"""One job of the command line, from pictures in memory to files on disk."""

import dataclasses
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from nst_jax import (
    __version__,
    account,
    checkpoint,
    course,
    devices,
    disk,
    flagfile,
    inputs,
    memory,
    optimizers,
    prepare,
    pretrained,
    progress,
    record,
    report,
    resume,
    scales,
    trail,
    words,
)
from nst_jax.account import End
from nst_jax.arrays import Weights
from nst_jax.checkpoint import Checkpoint
from nst_jax.config import Config
from nst_jax.course import Course, Job
from nst_jax.errors import RequestError
from nst_jax.inputs import Inputs

Shape = tuple[int, int]


class Told(NamedTuple):
    """What a job is told besides its settings and pictures."""

    origin: str  # the preset, and whether it still is that
    notes: Sequence[str]  # told before it starts, unless it is refused
    since: float  # when the program started, by `time.monotonic`
    checkpoint: Checkpoint | None = None  # that it goes on from


def run(config: Config, files: record.Files, given: Inputs, told: Told) -> int:
    """Optimises and writes; the exit status."""
    device = devices.pick(config.output.device)
    config = resolve(config, device)
    with jax.default_device(device):
        asked, config = config, _fitted(config, given)
    texts = record.texts(config)
    shapes = inputs.shapes(given, config)
    _say(config, words.first_line(config, files, shapes, devices.describe(device)))
    if told.origin:
        _say(config, f"preset {told.origin}")
    if config.optimizer.history != asked.optimizer.history:
        progress.warn(words.shortened(config))
    warning = devices.warning(device)
    if warning:
        progress.warn(warning)
    with jax.default_device(device):
        if config.output.dry_run:
            plan = _dry_run(config, files, given)
            _warn(told.notes)
            progress.say(plan)
            return 0
        weights = load(config)
        who = resume.identity(
            config,
            given.files,
            weights.digest,
            words.made_with(devices.describe(device)),
        )
        stood, more = _stood(config, given, who, told)
        _warn([*told.notes, *more])
        done = [*stood.resumed, stood.step] if stood else []
        said = resume.Told(who, given.shape, _names(files), done)
        job = Job(
            config,
            _in_all(config, files, shapes, stood),
            given,
            shapes,
            weights,
            texts,
            told.origin,
            told.since,
            said,
            stood,
        )
        return _run(job, time.monotonic() - told.since)


def _stood(
    config: Config, given: Inputs, who: resume.Identity, told: Told
) -> tuple[resume.Stood | None, list[str]]:
    """Where the run goes on, if it does, and what is to be told of it."""
    if told.checkpoint is None:
        return None, []
    extends = config.output.resume == "extend"
    stood = resume.stood(told.checkpoint)
    more = resume.check(told.checkpoint.about, who, given.shape, extends=extends)
    _say(config, f"goes on after step {stood.step} of {config.output.checkpoint}")
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


def _run(job: Job, loading: float) -> int:
    started, compiled = time.monotonic(), devices.compile_seconds()
    _start_checkpoints(job)
    way = course.begun(job)
    with progress.interruptible() as stopped:
        last, fault = course.run(job, way, stopped)
        seconds = time.monotonic() - started
        compiling = min(seconds, devices.compile_seconds() - compiled)
        if last is None:
            progress.warn(f"{fault}; nothing was written")
            return 1
        wild = "" if last.is_finite else words.divergence(last.step, last.fault)
        early = stopped()
        found = (fault, wild, _interruption(early))
        spent = seconds - compiling
        phases = {"load": loading, "compile": compiling, "optimise": spent}
        end = End(last, [each for each in found if each], phases)
        try:
            kept = _keep(job, way, end)
        except (OSError, MemoryError) as error:
            progress.warn(f"the picture is lost: {words.fault(error)}")
            return 1
        number = stopped()
    # The signal may have come while the picture was written.
    late = "" if early else _interruption(number)
    end.troubles.extend(each for each in (late, kept.trouble) if each)
    phases["write"] = time.monotonic() - started - seconds
    unreported = _report(job, way, end)
    if end.troubles:
        where = f"the picture after step {last.step} is in {str(kept.picture)!r}"
        progress.warn("; ".join([*end.troubles, where]))
        return 128 + number if number and not (fault or wild) else 1
    _say(job.config, words.last_line(kept, last.step, seconds, last.value))
    return 1 if unreported else 0


def _interruption(number: int) -> str:
    return f"interrupted ({signal.Signals(number).name})" if number else ""


def _start_checkpoints(job: Job) -> None:
    """Makes the folder of the checkpoints this run's."""
    folder = job.config.output.checkpoint
    if not folder:
        return
    checkpoint.clear_halves(Path(folder))
    if job.stood:
        return
    try:
        resume.first(Path(folder), job.told)
    except OSError as error:
        raise RequestError(
            f"--checkpoint={folder} cannot be written ({disk.reason(error)}); choose "
            "another folder"
        ) from error


def resolve(config: Config, device: jax.Device) -> Config:
    """The settings with everything that was left to the program filled in."""
    network, moves = config.network, config.optimizer
    return dataclasses.replace(
        config,
        network=dataclasses.replace(
            network,
            precision=devices.precision(network.precision, device),
            convolution=devices.convolution(network.convolution, device),
            weights=pretrained.stands_for(network.network, network.weights),
        ),
        optimizer=dataclasses.replace(
            moves,
            learning_rate=optimizers.learning_rate(moves),
            epsilon_place=optimizers.epsilon_place(moves),
            box=optimizers.box(moves),
        ),
    )


def load(config: Config) -> Weights:
    """The network's numbers that the settings name, fetched if need be."""
    network = config.network
    return pretrained.load(
        network.network,
        network.weights,
        source=network.weights_source,
        offline=network.offline,
        announce=progress.warn,
        quiet=config.output.quiet,
        seed=config.inputs.seed,
    )


def _dry_run(config: Config, files: record.Files, given: Inputs) -> str:
    """What would be done, after every check that needs nothing from elsewhere."""
    network = config.network
    missing = pretrained.to_fetch(
        network.network,
        network.weights,
        source=network.weights_source,
        offline=network.offline,
    )
    if not missing:
        load(config)
    styles = [picture.shape[:2] for picture in given.styles]
    how = given.shape, styles, config, prepare.forward(config)
    lines = words.memory(
        memory.need(*how),
        memory.limit(config),
        memory.largest(*how),
        prepare.recipe(config, given.shape).plan,
    )
    return words.plan(config, files, styles, lines, missing)


def _fitted(config: Config, given: Inputs) -> Config:
    """The settings with which the job fits into memory."""
    styles = [picture.shape[:2] for picture in given.styles]
    return memory.fitted(given.shape, styles, config, prepare.forward(config))


def _keep(job: Job, way: Course, end: End) -> record.Kept:
    """Writes the result, its settings and its record."""
    last = end.last
    facts = {
        **job.inputs.files,
        "weights": f"{job.weights.name} sha256 {job.weights.digest}",
        **({"preset": job.origin} if job.origin else {}),
        "made by": f"nst-jax {__version__}, jax {jax.__version__}",
        "steps done": str(last.step),
    }
    inside, beside = job.texts
    output, settings = job.files.output, job.config.output
    data = trail.encoded(
        output,
        job.inputs,
        last,
        settings,
        bit_depth=int(settings.bit_depth),
        text=record.with_facts(inside, facts) if inside else None,
    )
    text = record.with_facts(beside, facts)
    # The content, not a single step done, must not take an earlier result's place.
    done = last.step > 0 or job.files.steps == 0
    told = account.text(job, way, end)
    replaces = settings.overwrite and done
    return record.keep(job.files, data, text, told, overwrite=replaces)


def _report(job: Job, way: Course, end: End) -> bool:
    """Writes the report, if one was asked for; whether that failed."""
    path, settings = job.files.report, job.config.output
    if path is None:
        return False
    names = [f"{columns} x {rows}" for rows, columns in job.shapes]
    settled = job.config.solve
    marks = scales.starts(len(names), settled.steps, settled.scale_steps)
    device = devices.pick(settings.device)
    facts = words.facts(job.config, devices.describe(device), job.weights, job.origin)
    run = report.Run(
        title=job.files.output.name,
        content=job.inputs.content,
        styles=job.inputs.styles,
        result=end.last.image,
        settings=flagfile.dump(job.config, folders=False),
        rows=way.notes.rows,
        between=way.notes.between,
        scales=list(zip(marks, names, strict=False))
        if len(names) > 1 and settled.steps
        else (),
        phases=end.phases,
        peak_memory=memory.peaks(device),
        facts=facts | job.inputs.files,
        warnings=end.troubles,
    )
    try:
        disk.write(path, report.html(run).encode(), overwrite=settings.overwrite)
    # The picture is safe by now: whatever it is, one line tells of it.
    except Exception as error:
        why = disk.reason(error) if isinstance(error, OSError) else repr(error)
        progress.warn(f"{str(path)!r} could not be written ({why})")
        return True
    return False


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        progress.warn(note)


def _say(config: Config, line: str) -> None:
    if not config.output.quiet:
        progress.say(line)
