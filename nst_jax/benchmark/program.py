"""The command line of the benchmark: what is asked for is checked, then measured."""

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nst_jax import __version__, disk, flagfile, flags, inputs, progress, start, usage
from nst_jax.benchmark import asked, earlier, peer, runner, session, workloads
from nst_jax.benchmark.asked import BenchmarkConfig
from nst_jax.benchmark.session import Session
from nst_jax.errors import RequestError

_INTRODUCTION = f"""\
nst-jax {__version__}: measures how fast it is

python -m nst_jax.benchmark [--workload=NAME,...] [--json=FILE] [FLAGS]

Every flag and flagfile of a run counts; python -m nst_jax.run --help explains them.
What a run would write is not written. A frozen workload stays one with another
--device, --precision or --weights; with other settings it is measured under a name
that says so, and not validated.
"""


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    return start.answered(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    program = flags.Program(needed={}, help=_help, own=BenchmarkConfig)
    request = flags.parse(argv, read_settings=start.read_settings, program=program)
    if request.answer:
        progress.say(request.answer)
        return 0
    with runner.interruptible(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.needs_pictures(request):
            workloads.lay_out(folder)
        jobs = asked.jobs(request, folder)
        return _checked(Session(request, jobs, folder, session.empty(argv)))


def _checked(work: Session) -> int:
    """Checks what can be checked without JAX, and goes on."""
    settings, output = work.settings, work.request.config.output
    _check_files(work.request)
    if settings.profile:
        _check_folder(settings.profile)
    old = None
    if settings.compare:
        old = earlier.read(settings.compare, [job.name for job in work.jobs])
    command = peer.command(settings.peer_python) if settings.peer else None
    for job in work.jobs:
        inputs.read(job.config)
    if output.dry_run:
        progress.say("\n".join(f"{job.name} {job.precision}" for job in work.jobs))
        return 0
    try:
        jobs = session.measure(work)
        if command:
            session.against(work, jobs, command)
    except KeyboardInterrupt:
        session.finish(work, old, is_complete=False)
        raise
    return session.finish(work, old, is_complete=True)


def _check_files(request: flags.Request) -> None:
    """Raises unless the results can be written without harming a file."""
    settings, taken = asked.own(request), [*_taken(request)]
    for name in ("json", "csv"):
        path = getattr(settings, name)
        if not path:
            continue
        disk.check(Path(path), overwrite=request.config.output.overwrite)
        for other, what in taken:
            if disk.are_one(Path(path), Path(other)):
                raise RequestError(
                    f"--{name}={path!r} would be written over {what}; choose another "
                    f"name"
                )
        taken.append((path, f"the file of --{name}"))


def _taken(request: flags.Request) -> Iterator[tuple[str, str]]:
    """Every file that is read, and what it is; also the folder of traces."""
    settings = asked.own(request)
    fields = [(f, getattr(settings, f.name)) for f in dataclasses.fields(settings)]
    for field, value in (*flagfile.settings(request.config), *fields):
        for path in value if isinstance(value, tuple) else (value,):
            if field.metadata["file"] == "read" and flagfile.is_path(field, path):
                yield path, f"the file of --{field.name}"
    for path in request.sources:
        yield path, "a file that settings come from"
    if settings.profile:
        yield settings.profile, "the folder of --profile"


def _check_folder(name: str) -> None:
    """Raises unless the folder can be written; JAX makes it, with all above it."""
    place = Path(name)
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        disk.probe(place)
    except OSError as error:
        raise RequestError(
            f"--profile={name!r} is no folder that can be written "
            f"({disk.reason(error)}); give another"
        ) from None


def _help() -> str:
    fields = [usage.described(each) for each in dataclasses.fields(BenchmarkConfig)]
    known = [usage.entry(each.name, each.about) for each in workloads.WORKLOADS]
    return "\n".join([_INTRODUCTION, *fields, "", "Workloads", *known])
