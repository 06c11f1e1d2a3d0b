"""One job of the command line, from pictures in memory to files on disk."""

import dataclasses
import functools
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import jax

from nst_jax import (
    __version__,
    devices,
    disk,
    flagfile,
    inputs,
    memory,
    optimizers,
    pretrained,
    progress,
    record,
    report,
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


def run(
    config: Config,
    files: record.Files,
    given: Inputs,
    origin: str,
    notes: Sequence[str],
    since: float,
) -> int:
    """Optimises and writes; the exit status.

    `given` are the pictures, `origin` is the preset, if one was asked for, and whether
    it still is that, `notes` are told before it starts, unless it is refused, and
    `since` is when the program started, by `time.monotonic`.
    """
    device = devices.pick(config.output.device)
    config = resolve(config, device)
    texts = record.texts(config)
    shapes = inputs.shapes(given, config)
    _say(config, words.first_line(config, files, shapes, devices.describe(device)))
    if origin:
        _say(config, f"preset {origin}")
    warning = devices.warning(device)
    if warning:
        progress.warn(warning)
    with jax.default_device(device):
        if config.output.dry_run:
            plan = _dry_run(config, files, given)
            _warn(notes)
            progress.say(plan)
            return 0
        weights = load(config)
        _warn(notes)
        job = Job(config, files, given, shapes, weights, texts, origin)
        return _run(job, time.monotonic() - since)


def _run(job: Job, loading: float) -> int:
    started, compiled = time.monotonic(), devices.compile_seconds()
    notes = Notes([], [])
    with progress.interruptible() as stopped:
        last, fault = _optimise(job, notes, stopped)
        seconds = time.monotonic() - started
        compiling = min(seconds, devices.compile_seconds() - compiled)
        if last is None:
            progress.warn(f"{fault}; nothing was written")
            return 1
        try:
            kept = _keep(job, last)
        except (OSError, MemoryError) as error:
            progress.warn(f"the picture is lost: {words.fault(error)}")
            return 1
    wild = "" if last.is_finite else words.divergence(last.step)
    number = stopped()
    halt = f"interrupted ({signal.Signals(number).name})" if number else ""
    troubles = [each for each in (fault, wild, halt, kept.trouble) if each]
    phases = {
        "load": loading,
        "compile": compiling,
        "optimise": seconds - compiling,
        "write": time.monotonic() - started - seconds,
    }
    unreported = _report(job, last, notes, phases, troubles)
    if troubles:
        where = f"the picture after step {last.step} is in {str(kept.picture)!r}"
        progress.warn("; ".join([*troubles, where]))
        return 128 + number if number and not (fault or wild) else 1
    _say(job.config, words.last_line(kept, last.step, seconds, last.value))
    return 1 if unreported else 0


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
    needed = memory.estimate(given.shape, styles, config)
    return words.plan(config, files, styles, needed, missing)


def _optimise(
    job: Job, notes: Notes, stopped: Callable[[], int]
) -> tuple[Frame | None, str]:
    """The last frame, and what broke the run or an empty text."""
    config, last = job.config, None
    settings = config.output
    pace = progress.pace(
        lambda step: progress.until(
            step,
            settings.save_every,
            settings.preview_every if job.files.preview else 0,
        )
    )
    logs = job.files.metrics or job.files.report
    # Those of the scale at hand: scales that are done with are let go.
    keep_one = functools.lru_cache(maxsize=1)
    pictures = keep_one(functools.partial(inputs.at, job.inputs, config=config))
    with ExitStack() as stack:
        watch = progress.watch(job.files.steps, quiet=settings.quiet)
        stack.callback(watch.close)
        leave = stack.enter_context(trail.trail(job.files, settings, job.inputs, notes))
        try:
            for now in transfer.steps(
                pictures,
                job.shapes,
                job.weights,
                config,
                pace=pace,
                log_every=config.solve.log_every if logs else 0,
            ):
                last = _frame(now, pictures, config)
                watch.show(last.step, last.value)
                leave(last)
                if stopped():
                    break
        # Whatever it is, what is done so far is kept.
        except Exception as error:
            if last is None and isinstance(error, RequestError):
                raise
            return last, words.fault(error)
        return last, ""


def _frame(
    now: solve.Progress, pictures: Callable[[Shape], Pictures], config: Config
) -> Frame:
    # A copy: a view would keep the next chunk from taking the image's memory over.
    rows, columns, _ = now.image.shape
    image = transfer.finish(now, pictures((rows, columns)), config).image
    return Frame(now.step, image, now.value, now.terms, now.is_finite)


def _keep(job: Job, last: Frame) -> record.Kept:
    """Writes the result and its settings."""
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
    return record.keep(job.files, data, text, overwrite=settings.overwrite and done)


def _report(
    job: Job,
    last: Frame,
    notes: Notes,
    phases: dict[str, float],
    warnings: list[str],
) -> bool:
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
        result=last.image,
        settings=flagfile.dump(job.config, folders=False),
        rows=notes.rows,
        between=notes.between,
        scales=list(zip(marks, names, strict=False))
        if len(names) > 1 and settled.steps
        else (),
        phases=phases,
        peak_memory=memory.peaks(device),
        facts=facts | job.inputs.files,
        warnings=warnings,
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
