"""One measurement in a process of its own, which `runner` starts.

Reads what is asked from a JSON file and writes what it found to another; what it
prints on its way is kept by whoever started it. It has no command line for people.
"""

import importlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nst_jax import disk, flags, start
from nst_jax.config import Config
from nst_jax.errors import RequestError

Kind = Literal["check", "measure", "ceiling", "pack"]


class Spec(NamedTuple):
    """What a cell is asked for.

    check: whether the job can be done, and what its parts are.
    measure: the job, phase by phase; `whole` as well from start to end.
    ceiling: the fastest matrix product in that precision.
    pack: the job's arrays for another program, in the file `folder`/job.npz, and its
    terms in float32.
    """

    kind: Kind
    arguments: list[str]  # the flags of a run
    seconds: float = 0.0
    whole: bool = False
    precision: str = ""
    folder: str = ""
    profile: str = ""


def main(argv: Sequence[str], begun: float) -> int:
    """Does what the first file asks and writes the second; the exit status.

    `begun` is when the process did, by `time.perf_counter`.
    """
    asked, answer = map(Path, argv)
    spec = Spec(**json.loads(asked.read_text()))
    found: dict[str, Any]
    try:
        found = work(spec, begun)
    except RequestError as error:
        found = {"refused": str(error)}
    # Whatever it is, the other cells go on.
    except Exception as error:
        words = importlib.import_module("nst_jax.words")
        found = {"failed": words.fault(error)}
    disk.write(answer, json.dumps(found).encode())
    return 0


def work(spec: Spec, begun: float) -> dict[str, Any]:
    """What was found."""
    phases: dict[str, float] = {}
    config = _config(spec.arguments)
    # Compiling is a phase: it is to be seen.
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"
    start.prepare_jax(config.output.device)
    # JAX and all that needs it come now, so that this is timed.
    measuring = importlib.import_module("nst_jax.benchmark.phases")
    phases["import"] = time.perf_counter() - begun
    match spec.kind:
        case "measure":
            asked = measuring.Asked(spec.seconds, spec.whole, spec.profile)
            return dict(measuring.measure(config, asked, phases))
        case "check":
            return dict(measuring.check(config))
        case "ceiling":
            ceiling = importlib.import_module("nst_jax.benchmark.ceiling")
            return dict(
                ceiling.measure(config.output.device, spec.precision, spec.seconds)
            )
        case "pack":
            pack = importlib.import_module("nst_jax.benchmark.pack")
            return dict(pack.write(config, Path(spec.folder) / "job.npz"))


def _config(arguments: Sequence[str]) -> Config:
    program = flags.Program(needed={}, help=str)
    return flags.parse(
        arguments, read_settings=start.read_settings, program=program
    ).config
