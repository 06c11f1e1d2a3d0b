"""How one picture is spread over several devices and machines."""

import dataclasses
import re
from typing import Literal

from nst_jax.errors import RequestError
from nst_jax.settings import check, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpreadConfig:
    """One picture on several devices, of one machine or of several."""

    devices: str = setting(
        "auto",
        "How many devices work on the picture: a number, all, or auto (one; with"
        " several processes all of them). Loss and gradient are equal to rounding, not"
        " to the bit.",
        stored="beside",
    )
    spread: Literal["auto", "copies", "rows"] = setting(
        "auto",
        "What of several devices each holds: copies of image and optimiser state, rows"
        " of its own of both, or auto (copies if they fit).",
        stored="beside",
    )
    coordinator: str = setting(
        "",
        "HOST:PORT of process 0, where the processes of one run meet; the same command"
        " on every machine but for --process.",
        stored="never",
    )
    processes: int = setting(
        0, "How many processes there are, with --coordinator.", low=0, stored="never"
    )
    process: int = setting(
        0,
        "Which of them this is, from 0; process 0 writes.",
        low=0,
        stored="never",
    )
    distributed: bool = setting(
        False,
        "Several processes that JAX finds itself: under SLURM, Open MPI, Kubernetes,"
        " on Cloud TPUs. Write it as a flag on every machine.",
        stored="never",
    )
    connect_timeout: float = setting(
        300.0,
        "Seconds within which all processes must have met.",
        low=1,
        high=86400,
        stored="never",
    )

    def __post_init__(self) -> None:
        check(self)
        if not re.fullmatch("auto|all|[1-9][0-9]{0,5}", self.devices):
            raise RequestError(
                f"--devices must be auto, all or a number, got {self.devices!r}"
            )
        if self.coordinator:
            self._check_processes()
        elif self.processes or self.process:
            raise RequestError(
                "--processes and --process go with --coordinator=HOST:PORT, got none; "
                "under SLURM or on Cloud TPUs --distributed is enough"
            )

    def _check_processes(self) -> None:
        if not re.fullmatch(
            r"(\[[0-9a-fA-F:.]+\]|[^\s:/]+):[0-9]{1,5}", self.coordinator
        ):
            raise RequestError(
                "--coordinator must be HOST:PORT of process 0, such as 10.0.0.1:8476, "
                f"got {self.coordinator!r}"
            )
        if self.distributed:
            raise RequestError(
                "--distributed lets JAX find the processes, so it cannot go with "
                f"--coordinator={self.coordinator}; leave one out"
            )
        if not self.process < self.processes:
            raise RequestError(
                f"--process must be a number from 0 to --processes - 1, got "
                f"{self.process} of {self.processes}"
            )

    def meets(self) -> bool:
        """Whether it is one of several processes."""
        return self.distributed or bool(self.coordinator)

    def is_one(self) -> bool:
        """Whether it is one device."""
        return self.devices == "1" or (self.devices == "auto" and not self.meets())
