"""The command line of the benchmark: what is asked for is checked, then measured."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nst_jax import __version__, disk, flags, inputs, progress, start, usage
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
    for path in filter(None, (settings.json, settings.csv)):
        disk.check(Path(path), overwrite=output.overwrite)
    if settings.json and settings.json == settings.csv:
        raise RequestError(
            f"--json and --csv are both {settings.json!r}; give two names"
        )
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


def _check_folder(name: str) -> None:
    try:
        os.makedirs(name, exist_ok=True)
        disk.probe(Path(name))
    except OSError as error:
        raise RequestError(
            f"--profile={name!r} is no folder that can be written "
            f"({disk.reason(error)}); give another"
        ) from None


def _help() -> str:
    fields = [usage.described(each) for each in dataclasses.fields(BenchmarkConfig)]
    known = [usage.entry(each.name, each.about) for each in workloads.WORKLOADS]
    return "\n".join([_INTRODUCTION, *fields, "", "Workloads", *known])
