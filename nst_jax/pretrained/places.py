"""Where weights files are looked for and kept on this machine."""

import os
from pathlib import Path

from nst_jax import disk
from nst_jax.errors import RequestError

VARIABLE = "NST_JAX_WEIGHTS"


def named_file() -> Path | None:
    """The single file that $NST_JAX_WEIGHTS names, if it names one."""
    path = os.path.expanduser(os.environ.get(VARIABLE, ""))
    # os.path says no where Path raises: to names that are too long, for one.
    return Path(path) if os.path.isfile(path) else None


def folders() -> tuple[Path, ...]:
    """The folders to look in, best first."""
    import platformdirs

    text = os.environ.get(VARIABLE, "")
    named = (Path(os.path.expanduser(text)),) if text and not named_file() else ()
    cache = Path(platformdirs.user_cache_dir("nst_jax", appauthor=False))
    return (*named, *_checkout(), cache / "weights")


def find(name: str) -> Path | None:
    """The canonical file of a known network, if it is here."""
    for folder in folders():
        path = folder / f"{name}.safetensors"
        if os.path.isfile(path):
            return path
    return None


def to_store() -> Path:
    """The first of the folders that can be written, made if need be."""
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            disk.probe(folder)
        except OSError:
            continue
        return folder
    raise RequestError(
        f"expected a folder for weights files that can be written, found none of "
        f"{', '.join(repr(str(folder)) for folder in folders())}; set {VARIABLE} to one"
    )


def _checkout() -> tuple[Path, ...]:
    """The weights/ of the checkout, if the package runs from one."""
    root = Path(__file__).parents[2]
    there = (root / "pyproject.toml").is_file() and (root / "weights").is_dir()
    return (root / "weights",) if there else ()
