"""The command line: `python -m nst_jax.run --content=A --style=B --output=C`.

Checks everything that can be checked before JAX is loaded, then reads, fetches,
optimises and writes. Exit status: 0 done, 2 the request was wrong, 1 it broke
while running, 130 or 143 interrupted with the picture kept.
"""

import time
from collections.abc import Sequence

from nst_jax import flags, progress, scales, start
from nst_jax.errors import RequestError


def entry() -> None:
    """The console script."""
    start.enter(main)


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    since = time.monotonic()

    def work() -> int:
        request = flags.parse(argv, read_settings=start.read_settings)
        if request.answer:
            progress.say(request.answer)
            return 0
        return _run(request, since)

    return start.answered(work)


def _run(request: flags.Request, since: float) -> int:
    from nst_jax import checkpoint, idle, inputs, record

    config = request.config
    files = record.plan(config)
    found = checkpoint.looked_into(config.output)
    owned = checkpoint.owned(found)
    record.check(files, config, request.sources, owned)
    if owned:  # what is there is this run's own, or nothing is
        config = config.overwriting()
    if files.report:
        from nst_jax import report

        report.check()
    try:
        pictures = inputs.read(config)
    except MemoryError:
        raise RequestError(
            f"the pictures do not fit into memory at --size={config.inputs.size}; ask "
            "for a smaller one"
        ) from None
    record.check_shape(files, pictures.shape)
    shapes, settings = inputs.shapes(pictures, config), config.solve
    marks = scales.starts(len(shapes), settings.steps, settings.scale_steps)
    files = files._replace(steps=marks[-1])
    record.check_numbered(files, overwrite=config.output.overwrite)
    notes = [*found.troubles, *idle.told(config, request.typed, shapes)]

    start.prepare_jax(config.output.device)
    from nst_jax import job

    told = job.Told(flags.origin(request), notes, since, found.checkpoint)
    return job.run(config, files, pictures, told)


if __name__ == "__main__":
    entry()
