"""One job of the command line, from pictures in memory to files on disk."""

import dataclasses
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from nst_jax import (
    batch,
    beginning,
    course,
    devices,
    ending,
    hosts,
    inputs,
    memory,
    optimizers,
    prepare,
    pretrained,
    progress,
    record,
    resume,
    signals,
    words,
)
from nst_jax.account import End
from nst_jax.arrays import Weights
from nst_jax.beginning import Told as Told
from nst_jax.beginning import say, warn
from nst_jax.chronicle import Course
from nst_jax.config import Config
from nst_jax.course import Job
from nst_jax.inputs import Inputs
from nst_jax.trail import Frame

Shape = tuple[int, int]


class Outcome(NamedTuple):
    """What came of a job: its exit status, and its end if it came to one."""

    status: int
    end: End | None = None
    kept: record.Kept | None = None
    seconds: float = 0.0  # of its steps, and what is compiled for them


class Around(NamedTuple):
    """What the jobs of a process share."""

    device: jax.Device
    load: Callable[[Config], Weights]
    stopped: Callable[[], int]  # the signal that ends the job at hand, or 0


def run(config: Config, files: record.Files, given: Inputs, told: Told) -> int:
    """Optimises and writes; the exit status."""
    device = hosts.together(lambda: devices.pick(config.output.device))
    with jax.default_device(device):
        hosts.check_alike(resume.asked(config))
        asked = _limited(hosts.together(lambda: resolve(config, device)))
        job = hosts.together(lambda: _begun(asked, device, files, given, told))
        if job is None:
            return 0
        hosts.check_alike(_decisive(job))
        loading = time.monotonic() - told.since
        with signals.interruptible() as stopped:
            done = _optimised(job, loading, stopped, is_alone=not hosts.are_several())
        status = _told(job, done).status
        if done.is_broken:  # perhaps here alone, and the others wait
            hosts.leave(status)
        return status


def _begun(
    asked: Config,
    device: jax.Device,
    files: record.Files,
    given: Inputs,
    told: Told,
) -> Job | None:
    """The job before its first step; None where it is only to be told of."""
    config = _fitted(asked, given, told)
    texts, shapes = record.texts(config), inputs.shapes(given, config)
    where = devices.described(config.spread.devices)
    say(config, words.first_line(config, files, shapes, where))
    if told.origin:
        say(config, f"preset {told.origin}")
    warning = devices.warning(device)
    warn([*_shortened(config, asked, told), *([warning] if warning else [])])
    if not config.output.dry_run:
        weights = load(config)
        return beginning.job(config, asked, files, given, told, texts, weights)
    plan = _dry_run(config, files, given)
    warn(told.notes)
    if hosts.writes():
        progress.say(plan)
    return None


def _limited(config: Config) -> Config:
    """The settings with what the process that has the least memory has, of several.

    By it all decide the same about windows, rows and the history.
    """
    if config.memory.memory_limit or not hosts.are_several():
        return config
    gib = 0.9 * hosts.least(devices.memory() >> 20) / 2**10
    looks = dataclasses.replace(config.memory, memory_limit=gib)
    return dataclasses.replace(config, memory=looks)


def _decisive(job: Job) -> dict[str, str]:
    """What decides the job's program and numbers, and so is alike in all processes."""
    who, stood = job.told.who, job.stood
    files = {f"the file of {role}": digest for role, digest in who.inputs.items()}
    # Of these the processes may have their own.
    made = who.made_with.keys() - {"device", "processor", "python"}
    same = {f"{name} as it is here": who.made_with[name] for name in made}
    begins = {"the checkpoint": str(stood.step if stood else "none")}
    return {**who.settings, **files, **same, **begins}


def prepared(
    config: Config, files: record.Files, given: Inputs, told: Told, around: Around
) -> Job:
    """One of many jobs before its first step, on a device that is given.

    Raises:
        RequestError: it cannot be done.
    """
    device = around.device
    with jax.default_device(device):
        asked = resolve(config, device)
        config = _fitted(asked, given, told)
        warn(_shortened(config, asked, told))
        texts, weights = record.texts(config), around.load(config)
        return beginning.job(config, asked, files, given, told, texts, weights)


def done(job: Job, around: Around, loading: float, together: float = 0.0) -> Outcome:
    """Does one of many jobs, as `run` does.

    Args:
        job: its steps may have been taken already, together with others'.
        around: what they share.
        loading: the seconds that it took to prepare it.
        together: its share of the seconds of those steps.
    """
    with jax.default_device(around.device):
        return _told(job, _optimised(job, loading, around.stopped, together=together))


def steps_together(jobs: Sequence[Job], around: Around, size: int) -> list[Job]:
    """The jobs, all of one shape, as they are after their steps, taken together.

    Those that could not be are as they were. `size` is how many the program is for:
    what is missing is one of them once more.
    """
    filled = [*jobs, *[jobs[-1]] * (size - len(jobs))]

    def sees(step: int) -> None:
        for job in jobs:
            job.onlooker.sees(step, None)

    with jax.default_device(around.device):
        ended = batch.run(
            [batch.Member(job.inputs.final, job.config) for job in filled],
            jobs[0].weights,
            pace=progress.pace(lambda step: jobs[0].files.steps),
            sees=sees,
            stopped=around.stopped,
        )
    return [job._replace(ended=end) for job, end in zip(jobs, ended, strict=False)]


def _shortened(config: Config, asked: Config, told: Told) -> list[str]:
    had = resume.continued(asked, told.checkpoint).optimizer.history
    return [] if config.optimizer.history == had else [words.shortened(config)]


class _Since(NamedTuple):
    """Where the times of a job count from."""

    started: float  # by `time.monotonic`
    compiled: float  # seconds, before
    loading: float  # seconds


class _Done(NamedTuple):
    """A job whose picture is kept; without an end there was nothing to keep."""

    way: Course
    end: End | None = None
    kept: record.Kept | None = None
    seconds: float = 0.0
    status: int = 1  # as far as it is known then
    is_broken: bool = False  # by a fault on the way


def _optimised(
    job: Job,
    loading: float,
    stopped: Callable[[], int],
    *,
    is_alone: bool = False,
    together: float = 0.0,
) -> _Done:
    """The steps of the job, and its picture kept.

    A job that is alone in its process ends it where a signal comes in a long call.
    """
    started = time.monotonic() - together
    since = _Since(started, devices.compile_seconds(), loading)
    hosts.together(lambda: beginning.start_checkpoints(job))
    way = course.begun(job)

    def end_now(last: Frame | None, number: int) -> None:
        _told(job, _ended(job, way, since, last, "", lambda: number))

    heard = hosts.heard(stopped)
    last, fault = course.run(job, way, heard.anywhere, end_now if is_alone else None)
    ended = _ended(job, way, since, last, fault, heard.here)
    return ended._replace(is_broken=bool(fault))


def _ended(
    job: Job,
    way: Course,
    since: _Since,
    last: Frame | None,
    fault: str,
    stopped: Callable[[], int],
) -> _Done:
    """The picture kept, if there is one."""
    seconds = time.monotonic() - since.started
    compiling = min(seconds, devices.compile_seconds() - since.compiled)
    if last is None:
        why = fault or _interruption(stopped())
        progress.warn(f"{why}; nothing was written")
        return _Done(way)
    wild = "" if last.is_finite else words.divergence(last.step, last.fault)
    early = stopped()
    if not hosts.writes():
        if fault:
            progress.warn(fault)
        status = 128 + early if early else int(bool(fault or wild))
        return _Done(way, status=status)
    found = (fault, wild, _interruption(early))
    spent = seconds - compiling
    phases = {"load": since.loading, "compile": compiling, "optimise": spent}
    end = End(last, [each for each in found if each], phases)
    try:
        kept = ending.keep(job, way, end)
    except (OSError, MemoryError) as error:
        progress.warn(f"the picture is lost: {words.fault(error)}")
        return _Done(way)
    number = stopped()
    # The signal may have come while the picture was written.
    late = "" if early else _interruption(number)
    end.troubles.extend(each for each in (late, kept.trouble) if each)
    phases["write"] = time.monotonic() - since.started - seconds
    status = 128 + number if number and not (fault or wild) else 1
    return _Done(way, end, kept, seconds, status if end.troubles else 0)


def _told(job: Job, done: _Done) -> Outcome:
    """What came of the job, told of and reported."""
    end, kept = done.end, done.kept
    if end is None or kept is None:
        return Outcome(done.status)
    unreported = ending.report(job, done.way, end)
    last = end.last
    if end.troubles:
        where = f"the picture after step {last.step} is in {str(kept.picture)!r}"
        progress.warn("; ".join([*end.troubles, where]))
        return Outcome(done.status, end, kept, done.seconds)
    say(job.config, words.last_line(kept, last.step, done.seconds, last.value))
    return Outcome(int(unreported), end, kept, done.seconds)


def _interruption(number: int) -> str:
    return f"interrupted ({signal.Signals(number).name})" if number else ""


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
        announce=hosts.warn,
        quiet=config.output.quiet,
        seed=config.inputs.seed,
    )


def loaded_on(device: jax.Device, config: Config) -> Weights:
    """The same, on a device."""
    with jax.default_device(device):
        return load(config)


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
    recipe = prepare.recipe(config, given.shape)
    lines = words.memory(
        memory.need(*how),
        memory.limit(config),
        memory.largest(*how),
        recipe.plan,
        recipe.layout,
    )
    return words.plan(config, files, styles, lines, missing)


def _fitted(config: Config, given: Inputs, told: Told) -> Config:
    """The settings with which the job fits into memory, or goes on as it was."""
    config = resume.continued(config, told.checkpoint)
    styles = [picture.shape[:2] for picture in given.styles]
    return memory.fitted(given.shape, styles, config, prepare.forward(config))
