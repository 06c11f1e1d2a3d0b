"""Build the wheel and the source distribution, and try them where nothing is.

python -m pip install build twine; python scripts/release.py [--output=FOLDER]

What it does stands in docs/release.md. It publishes nothing.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# What somebody's checked program would say; a package without types fails it.
_TYPED = """\
import nst_jax

steps: int = nst_jax.Config().solve.steps
weights = nst_jax.load_weights("random")
reveal_type(weights.params)
"""


def main() -> None:
    """Build, check, install, run."""
    parser = argparse.ArgumentParser(description="Build and try what is released.")
    parser.add_argument("--output", type=Path, default=_ROOT / "dist")
    folder = parser.parse_args().output.resolve()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} must be empty, or what is tried may be an older build")
    python = sys.executable
    since = time.monotonic()
    _do(python, "-m", "build", "--outdir", str(folder), str(_ROOT))
    files = sorted(folder.iterdir())
    _do(python, "-m", "twine", "check", "--strict", *map(str, files))
    (wheel,) = (path for path in files if path.suffix == ".whl")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        venv.create(place / "venv", with_pip=True)
        own = place / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        theirs = str(own / "python")
        _do(theirs, "-m", "pip", "install", "--quiet", str(wheel), at=place)
        _do(theirs, "-m", "pip", "check", at=place)
        _paint(own, theirs, place)
        if importlib.util.find_spec("mypy"):
            (place / "typed.py").write_text(_TYPED, "utf-8")
            mypy = (python, "-m", "mypy", "--strict", "--python-executable", theirs)
            _do(*mypy, "typed.py", at=place)
    print(f"\ngood, in {time.monotonic() - since:.0f} s; in {folder}:")
    for path in files:
        print(f"  {path.name}  {path.stat().st_size:,} bytes")


def _paint(own: Path, theirs: str, place: Path) -> None:
    """The console script, and a picture from the files that come with the package."""
    find = "import nst_jax, pathlib; print(pathlib.Path(nst_jax.__file__).parent)"
    command = [theirs, "-c", find]
    found = subprocess.run(command, cwd=place, check=True, capture_output=True)
    pictures = Path(found.stdout.decode().strip()) / "benchmark" / "pictures"
    _do(str(own / "nst-jax"), "--preset=help", at=place)
    given = [f"--{n}={pictures / n}.jpg" for n in ("content", "style")]
    small = ("--weights=random", "--size=32", "--steps=2", "--output=out.png")
    _do(str(own / "nst-jax"), *given, *small, at=place)


def _do(*command: str, at: Path = _ROOT) -> None:
    """Runs a command, and ends everything with its status where it fails."""
    print("+", *command, flush=True)
    done = subprocess.run(command, cwd=at)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
