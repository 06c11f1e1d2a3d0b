"""The command line: `python -m nst_jax.run --content=A --style=B --output=C`.

Checks everything that can be checked before JAX is loaded, then reads, fetches,
optimises and writes. Exit status: 0 done, 2 the request was wrong, 1 it broke
while running, 130 or 143 interrupted with the picture kept.
"""

import io
import logging
import os
import sys
from collections.abc import Sequence

from nst_jax import flags, progress
from nst_jax.config import Config
from nst_jax.errors import RequestError


def entry() -> None:
    """The console script."""
    progress.quit_on_signals()
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold letters that the terminal's encoding has not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Does what the arguments ask for; the exit status."""
    try:
        request = flags.parse(argv, read_settings=_read_settings)
        if request.answer:
            progress.say(request.answer)
            return 0
        return _run(request)
    except RequestError as error:
        progress.warn(str(error))
        return 2
    except KeyboardInterrupt:
        progress.warn("interrupted (SIGINT)")
        return 130


def _read_settings(path: str) -> str:
    from nst_jax import images

    return images.read_settings(path)


def _run(request: flags.Request) -> int:
    from nst_jax import inputs, record

    config = request.config
    files = record.plan(config)
    record.check(files, config, request.sources)
    try:
        pictures = inputs.read(config)
    except MemoryError:
        raise RequestError(
            f"the pictures do not fit into memory at --size={config.inputs.size}; ask "
            "for a smaller size"
        ) from None
    record.check_shape(files, pictures.content.shape[:2])

    _prepare_jax(config)
    from nst_jax import job

    return job.run(config, files, pictures)


def _prepare_jax(config: Config) -> None:
    """Settings that JAX reads when it is imported."""
    # Other programs may want the GPU's memory too: take what is needed.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if config.output.device.partition(":")[0] == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # It would tell of an unused GPU in its own words; ours name the remedy.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)


if __name__ == "__main__":
    entry()
