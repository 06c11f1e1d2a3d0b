"""Compiled programs are kept, where the user's are, and never in the way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nst_jax import compiled

_NAME = "JAX_COMPILATION_CACHE_DIR"
_OTHERS = (
    *("JAX_COMPILATION_CACHE_MAX_SIZE", "TF_CPP_MIN_LOG_LEVEL"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
)
# Compiles something that takes longer than what is too quick to be kept, and tells how
# often JAX found what it would else compile.
_WORK = """
from nst_jax import start
start.prepare_jax("cpu")
import jax, jax.numpy as jnp
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
def work(x):
    for n in range(60):
        x = jnp.linalg.eigh(x + n)[1] if n < 3 else jnp.sin(x @ x + n)
    return x
jax.block_until_ready(jax.jit(work)(jnp.eye(8)))
print(sum(name.endswith("/cache_hits") for name in found))
"""


@pytest.fixture
def unset(monkeypatch):
    for name in (_NAME, *_OTHERS):
        # Set first, so that what `keep` sets is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def hits(unset, folder, **more):
    """How many programs the cache had; nothing may be said."""
    unset.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    done = subprocess.run(
        [sys.executable, "-c", _WORK],
        env={**os.environ, _NAME: str(folder), **more},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return int(done.stdout)


def test_programs_are_kept_and_found_again_in_silence(unset, tmp_path):
    assert hits(unset, tmp_path / "kept") == 0
    assert hits(unset, tmp_path / "kept") > 0


def test_it_can_be_turned_off(unset, tmp_path):
    assert hits(unset, tmp_path / "kept") == 0
    assert hits(unset, tmp_path / "kept", JAX_ENABLE_COMPILATION_CACHE="0") == 0


def test_the_folder_is_the_users_and_the_processors(unset, tmp_path):
    unset.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    compiled.keep()
    folder = Path(os.environ[_NAME])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "compiled"
    assert int(os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"]) == 2**30
    before = folder.name
    unset.setattr("platform.machine", lambda: "another")
    assert compiled.processor() != before


def test_in_a_folder_of_the_users_nothing_is_limited(unset, tmp_path):
    unset.setenv(_NAME, str(tmp_path))
    compiled.keep()
    assert os.environ[_NAME] == str(tmp_path)
    assert "JAX_COMPILATION_CACHE_MAX_SIZE" not in os.environ


def test_programs_that_were_cut_off_are_removed(unset, tmp_path):
    unset.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    compiled.keep()
    folder = Path(os.environ[_NAME])
    for name in ("whole-cache", "whole-atime", "half-cache", "new-cache"):
        (folder / name).touch()
    hour_ago = time.time() - 3600
    for name in ("whole-cache", "half-cache"):
        os.utime(folder / name, (hour_ago, hour_ago))
    unset.delenv(_NAME)
    compiled.keep()
    left = {path.name for path in folder.iterdir()}
    assert left == {"whole-cache", "whole-atime", "new-cache"}


def test_a_folder_that_cannot_be_made_keeps_nothing(unset, tmp_path):
    (tmp_path / "file").touch()
    unset.setattr("platformdirs.user_cache_dir", lambda *_, **__: f"{tmp_path}/file")
    compiled.keep()
    assert _NAME not in os.environ
