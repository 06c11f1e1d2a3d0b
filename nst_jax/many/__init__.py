"""Many jobs in one go: `--manifest=TABLE`, or folders as --content and --style.

`manifest` and `folders` give rows, `entries` makes requests of them and checks them
all, `there` says what is done already, `work` does the rest, `summary` and `sheet`
tell of it; `program` puts them together.
"""

import os
from collections.abc import Mapping
from typing import Any

from nst_jax import flags

_QUESTIONS = ("help", "version", "cite")


def asked(given: flags.Given) -> bool:
    """Whether many jobs are asked for."""
    values = given.values
    if any(values.get(name) for name in _QUESTIONS) or values.get("preset") == "help":
        return False
    return bool(values.get("manifest")) or _has_folder(values)


def _has_folder(values: Mapping[str, Any]) -> bool:
    """Whether a folder stands where a job has a picture."""
    paths = (values.get("content", ""), *values.get("style", ()))
    return any(map(_is_folder, paths))


def _is_folder(path: str) -> bool:
    return bool(path) and "\0" not in path and os.path.isdir(path)
