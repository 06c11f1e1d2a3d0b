"""What every program of the package does before and around its work.

Knows no JAX, as some of it must be done before JAX is loaded.
"""

import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from nst_jax import compiled, hugepages, progress, signals
from nst_jax.errors import RequestError


def enter(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Runs a program's main on the arguments of the process and ends with its status.

    Ctrl-C ends it at once, and a file's name may hold any letters.
    """
    hugepages.use()
    signals.quit_on_signals()
    for stream in (sys.stdout, sys.stderr):
        # The terminal's encoding may lack letters that a name has.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


def answered(work: Callable[[], int]) -> int:
    """The status of the work: 2 and one line where the request was wrong."""
    try:
        return work()
    except RequestError as error:
        progress.warn(_short(str(error)))
        return 2
    except KeyboardInterrupt:
        progress.warn("interrupted (SIGINT)")
        return 130


def _short(message: str) -> str:
    """The message without its middle, where a value in it has pages."""
    most = 2000
    if len(message) <= most:
        return message
    return f"{message[: most // 2]} [...] {message[-most // 4 :]}"


def read_settings(path: str) -> str:
    """The text that a picture keeps of its settings."""
    from nst_jax import images

    return images.read_settings(path)


def prepare_jax(device: str, devices: str = "auto") -> None:
    """Settings that JAX reads when it is imported."""
    # Other programs may want the GPU's memory too: take what is needed.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if device.partition(":")[0] == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        if devices.isdigit():
            # As many as are asked for, to try how a picture is spread.
            os.environ.setdefault("JAX_NUM_CPU_DEVICES", devices)
    compiled.keep()
    # It would tell of an unused GPU in its own words; ours name the remedy.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
