"""The command line: `python -m nst_jax.run --content=A --style=B --output=C`.

Checks everything that can be checked before JAX is loaded, then reads, fetches,
optimises and writes. Exit status: 0 done, 2 the request was wrong, 1 it broke
while running, 130 or 143 interrupted with the picture kept.
"""

import contextlib
import time
from collections.abc import Sequence

from nst_jax import flags, many, progress, start


def entry() -> None:
    """The console script."""
    start.enter(main)


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    since = time.monotonic()

    def work() -> int:
        given = flags.given(argv)
        if many.asked(given):
            from nst_jax.many import program

            return program.main(given)
        request = flags.request(given, read_settings=start.read_settings)
        if request.answer:
            progress.say(request.answer)
            return 0
        return carry_out(request, since)

    return start.answered(work)


def carry_out(
    request: flags.Request,
    since: float,
    onlooker: progress.Onlooker = progress.NOBODY,
) -> int:
    """Does the job that was asked for, from checks to files; the exit status.

    Args:
        request: what `flags.parse` found.
        since: when that began, by `time.monotonic`.
        onlooker: who follows the run besides the terminal.
    """
    from nst_jax import claim

    if request.config.spread.meets():
        return _with_others(request, since, onlooker)
    with claim.held(request.config.output) as troubles:
        return _carried_out(request, since, onlooker, troubles)


def _with_others(
    request: flags.Request, since: float, onlooker: progress.Onlooker
) -> int:
    """The same in one of several processes, of which the first writes and talks."""
    from nst_jax import claim

    config = request.config
    start.prepare_jax(config.output.device)
    from nst_jax import hosts

    hosts.connect(config.spread)
    with hosts.tied(), contextlib.ExitStack() as stack:

        def claimed() -> Sequence[str]:
            return stack.enter_context(claim.held(config.output))

        troubles = hosts.together(claimed if hosts.writes() else list)
        if not hosts.writes():
            request = request._replace(config=config.silent())
        return _carried_out(request, since, onlooker, troubles)


def _carried_out(
    request: flags.Request,
    since: float,
    onlooker: progress.Onlooker,
    troubles: Sequence[str],
) -> int:
    from nst_jax import ready

    spread = request.config.spread
    if spread.meets():
        from nst_jax import hosts

        found = hosts.together(lambda: ready.checked(request, troubles))
    else:
        found = ready.checked(request, troubles)
        start.prepare_jax(found.config.output.device, spread.devices)
    from nst_jax import job

    origin, checkpoint = flags.origin(request), found.checkpoint
    told = job.Told(origin, found.notes, since, checkpoint, onlooker)
    return job.run(found.config, found.files, found.pictures, told)


if __name__ == "__main__":
    entry()
