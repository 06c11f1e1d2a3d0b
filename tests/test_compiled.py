"""Compiled programs are kept, where the user's are, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nst_jax import compiled

_NAME = "JAX_COMPILATION_CACHE_DIR"
_OTHERS = ("JAX_COMPILATION_CACHE_MAX_SIZE", "TF_CPP_MIN_LOG_LEVEL")
# Compiles something that takes longer than what is too quick to be kept.
_WORK = """
from nst_jax import start
start.prepare_jax("cpu")
import jax, jax.numpy as jnp
def work(x):
    for n in range(60):
        x = jnp.linalg.eigh(x + n)[1] if n < 3 else jnp.sin(x @ x + n)
    return x
jax.block_until_ready(jax.jit(work)(jnp.eye(8)))
"""


@pytest.fixture
def unset(monkeypatch):
    for name in (_NAME, *_OTHERS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        # Set first, so that what `keep` sets is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def run(folder, **more):
    # JAX has set this one for itself, here.
    plain = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", _WORK],
        env={**plain, _NAME: str(folder), **more},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return {path.name for path in Path(folder).glob("*")}


def test_programs_are_kept_and_found_again_in_silence(tmp_path):
    kept = run(tmp_path / "kept")
    assert kept
    # Nothing is compiled anew the second time, and nothing is said.
    assert run(tmp_path / "kept") == kept


def test_it_can_be_turned_off(tmp_path):
    (tmp_path / "kept").mkdir()
    assert not run(tmp_path / "kept", JAX_ENABLE_COMPILATION_CACHE="0")


def test_the_folder_is_the_users_and_the_processors(unset, tmp_path):
    unset.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    compiled.keep()
    folder = Path(os.environ[_NAME])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "compiled"
    assert int(os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"]) == 2**30
    before = folder.name
    unset.setattr("platform.machine", lambda: "another")
    assert compiled._processor() != before


def test_the_users_own_settings_win(unset, tmp_path):
    unset.setenv(_NAME, str(tmp_path))
    unset.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "5")
    compiled.keep()
    assert os.environ[_NAME] == str(tmp_path)
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == "5"


def test_a_folder_that_cannot_be_made_keeps_nothing(unset, tmp_path):
    (tmp_path / "file").touch()
    unset.setattr("platformdirs.user_cache_dir", lambda *_, **__: f"{tmp_path}/file")
    compiled.keep()
    assert _NAME not in os.environ
