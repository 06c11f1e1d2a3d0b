"""One job of the command line, from pictures in memory to files on disk."""

import dataclasses
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from nst_jax import (
    __version__,
    devices,
    disk,
    images,
    memory,
    metrics,
    optimizers,
    pretrained,
    progress,
    record,
    solve,
    transfer,
    words,
)
from nst_jax.arrays import LossTerms, Weights
from nst_jax.config import Config
from nst_jax.errors import RequestError
from nst_jax.inputs import Inputs, Pixels


class Job(NamedTuple):
    """All that is known before the first step."""

    config: Config
    files: record.Files
    pictures: Inputs
    weights: Weights
    texts: record.Texts


class Frame(NamedTuple):
    """A pause of the run with its image on the host, where it outlives the device."""

    step: int
    image: Pixels
    value: float
    terms: LossTerms | None
    is_finite: bool


def run(config: Config, files: record.Files, pictures: Inputs) -> int:
    """Optimises and writes; the exit status."""
    device = devices.pick(config.output.device)
    config = resolve(config, device)
    texts = record.texts(config)
    shape = pictures.content.shape[:2]
    _say(config, words.first_line(config, shape, devices.describe(device)))
    warning = devices.warning(device)
    if warning:
        progress.warn(warning)
    with jax.default_device(device):
        if config.output.dry_run:
            progress.say(_dry_run(config, files, pictures))
            return 0
        return _run(Job(config, files, pictures, _load(config), texts))


def _run(job: Job) -> int:
    started = time.monotonic()
    with progress.interruptible() as stopped:
        last, fault = _optimise(job, stopped)
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
    if troubles:
        where = f"the picture after step {last.step} is in {str(kept.picture)!r}"
        progress.warn("; ".join([*troubles, where]))
        return 128 + number if number and not (fault or wild) else 1
    seconds = time.monotonic() - started
    _say(job.config, words.last_line(kept, last.step, seconds, last.value))
    return 0


def resolve(config: Config, device: jax.Device) -> Config:
    """The settings with everything that was left to the program filled in."""
    network, moves = config.network, config.optimizer
    return dataclasses.replace(
        config,
        network=dataclasses.replace(
            network,
            precision=devices.precision(network.precision, device),
            weights=pretrained.stands_for(network.network, network.weights),
        ),
        optimizer=dataclasses.replace(
            moves,
            learning_rate=optimizers.learning_rate(moves),
            box=optimizers.box(moves),
        ),
    )


def _load(config: Config) -> Weights:
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


def _dry_run(config: Config, files: record.Files, pictures: Inputs) -> str:
    """What would be done, after every check that needs nothing from elsewhere."""
    network = config.network
    missing = pretrained.to_fetch(
        network.network,
        network.weights,
        source=network.weights_source,
        offline=network.offline,
    )
    if not missing:
        _load(config)
    styles = [picture.shape[:2] for picture in pictures.styles]
    needed = memory.estimate(pictures.content.shape[:2], styles, config)
    return words.plan(config, files, styles, needed, missing)


def _optimise(job: Job, stopped: Callable[[], int]) -> tuple[Frame | None, str]:
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
    with ExitStack() as stack:
        watch = progress.watch(config.solve.steps, quiet=settings.quiet)
        stack.callback(watch.close)
        leave = _leaver(job, stack)
        try:
            for now in transfer.steps(
                job.pictures.content,
                job.pictures.styles,
                job.weights,
                config,
                initial=job.pictures.initial,
                pace=pace,
                log_every=config.solve.log_every if job.files.metrics else 0,
            ):
                last = _frame(now)
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


def _frame(now: solve.Progress) -> Frame:
    # A copy: a view would keep the next chunk from taking the image's memory over.
    image = np.array(now.image)
    return Frame(now.step, image, now.value, now.terms, now.is_finite)


def _leaver(job: Job, stack: ExitStack) -> Callable[[Frame], None]:
    """What is done at each pause: a row of metrics, a preview, a numbered picture."""
    started = time.monotonic()
    settings, files = job.config.output, job.files
    table = metrics.table(files.metrics, overwrite=settings.overwrite)
    add = stack.enter_context(table)
    failed: list[Path] = []

    def picture(path: Path, now: Frame, *, overwrite: bool, bit_depth: int) -> None:
        try:
            data = _encoded(path, job, now, bit_depth=bit_depth)
            disk.write(path, data, overwrite=overwrite)
        except OSError as error:
            if not failed:
                why = disk.reason(error)
                progress.warn(f"{str(path)!r} is left out ({why}); the run goes on")
            failed.append(path)

    def leave(now: Frame) -> None:
        if now.terms:
            add(now.step, time.monotonic() - started, now.terms)
        if files.preview and now.step % settings.preview_every == 0:
            ours = settings.overwrite or now.step > 0
            picture(files.preview, now, overwrite=ours, bit_depth=8)
        numbered = files.numbered(now.step)
        if numbered:
            depth = int(settings.bit_depth)
            picture(numbered, now, overwrite=settings.overwrite, bit_depth=depth)

    return leave


def _encoded(
    path: Path, job: Job, now: Frame, *, bit_depth: int, settings: str | None = None
) -> bytes:
    return images.encoded(
        path,
        now.image,
        alpha=job.pictures.alpha,
        bit_depth=bit_depth,
        quality=job.config.output.quality,
        settings=settings,
    )


def _keep(job: Job, last: Frame) -> record.Kept:
    """Writes the result and its settings."""
    facts = {
        **job.pictures.files,
        "weights": f"{job.weights.name} sha256 {job.weights.digest}",
        "made by": f"nst-jax {__version__}, jax {jax.__version__}",
        "steps done": str(last.step),
    }
    inside, beside = job.texts
    output, settings = job.files.output, job.config.output
    data = _encoded(
        output,
        job,
        last,
        bit_depth=int(settings.bit_depth),
        settings=record.with_facts(inside, facts) if inside else None,
    )
    text = record.with_facts(beside, facts)
    # The content, not a single step done, must not take an earlier result's place.
    done = last.step > 0 or job.files.steps == 0
    return record.keep(job.files, data, text, overwrite=settings.overwrite and done)


def _say(config: Config, line: str) -> None:
    if not config.output.quiet:
        progress.say(line)
