"""What the page's program was asked for: an address, and settings to begin with.

Knows no JAX, unless a device is named that may not be there.
"""

import dataclasses
from typing import NamedTuple, cast

from nst_jax import flagfile, flags, start, usage
from nst_jax.arguments import SETTINGS
from nst_jax.config import FIRST_IMAGES, Config
from nst_jax.errors import RequestError
from nst_jax.settings import check, setting

_INTRODUCTION = """\
python -m nst_jax.app [FLAGS]

A page in the browser: drop a photo and paintings, see the picture grow. Every flag of
python -m nst_jax.run that concerns the picture is where the page's settings begin.
"""
# What the page does by itself, or not at all.
_NOT_HERE = {
    *("region_weights", "preview_every", "save_every", "checkpoint_every", "resume"),
    *("dry_run", "overwrite", "no_metadata", "quiet"),
    *("coordinator", "processes", "process", "distributed"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AppConfig:
    """The page in the browser."""

    port: int = setting(
        8450, "Where it listens; 0 is any free port.", low=0, high=65535
    )
    host: str = setting(
        "127.0.0.1",
        "Address it listens on. Any other than 127.0.0.1 lets other machines in, who"
        " need the whole address that is printed; nothing is encrypted.",
    )
    open: bool = setting(True, "Open the page in this machine's browser.")
    upload_limit: int = setting(
        64, "Largest file that is taken, in MB.", low=1, high=2000
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.host:
            raise RequestError("--host must be an address such as 127.0.0.1, got ''")


class Defaults(NamedTuple):
    """Where every job of the page begins: a preset, and flags as they were typed."""

    preset: str
    flags: tuple[str, ...]
    config: Config


def _help() -> str:
    rows = map(usage.described, dataclasses.fields(AppConfig))
    return "\n".join([_INTRODUCTION, *rows])


APP = flags.Program({}, _help, AppConfig)


def own(request: flags.Request) -> AppConfig:
    """The settings that a run has not."""
    return cast(AppConfig, request.own)


def defaults(request: flags.Request) -> Defaults:
    """What the flags set for every job; raises for what only a single run can have."""
    config = request.config
    for field, value in flagfile.settings(config):
        is_set = field.name in request.given or value != field.default
        is_file = field.metadata["file"] != "no" and field.name not in (
            "weights",
            "init",
        )
        if is_set and (is_file or field.name in _NOT_HERE):
            raise RequestError(
                f"--{field.name} is not for the page, which asks for it or does "
                "without; leave it out"
            )
        if field.name == "init" and flagfile.is_path(field, value):
            raise RequestError(
                f"--init must be one of {', '.join(FIRST_IMAGES)} for the page, got "
                f"{value!r}; leave it out"
            )
    given = [
        f"--{field.name}={flagfile.to_text(value)}"
        for field, value in flagfile.settings(config)
        if field.name in request.given & SETTINGS.keys()
    ]
    return Defaults(request.preset, tuple(given), config)


def check_device(name: str) -> None:
    """Raises at once if a device is asked for that is not there."""
    if name.partition(":")[0] in ("auto", "cpu") and ":" not in name:
        return
    start.prepare_jax(name)
    from nst_jax import devices

    devices.pick(name)
