"""Files that are made to break the program: some of those of scripts/hostile.py."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from nst_jax import run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
hostile = importlib.import_module("hostile")
pictures = importlib.import_module("hostility.pictures")

EVERY = list(hostile.every())
# Those that are made in no time, and of the cut and changed ones only some.
QUICK = [each for each in EVERY if each.is_small()]
CHOSEN = [each for each in QUICK if each.expect != "read"][::9]
CHOSEN += [each for each in QUICK if each.expect == "read"][::19]
BOMBS = (
    *(
        "PNG of 40000x40000",
        "WebP of 16383x16383",
        "a key that takes for ever in a zip",
    ),
    *("flagfiles, two by two", "flagfiles, 3000 deep", "h5 with a virtual dataset"),
    *("h5 of 64 MB to a number", "h5 that wants a plugin", "keys of one hash"),
    *("mat of 100000 cells in each other", "npy with code in its header"),
    *("zip by bzip2", "canonical without a digest", "PNG with two headers"),
)
CHOSEN += [each for each in EVERY if each.name in BOMBS and each not in CHOSEN]


def test_there_are_as_many_files_as_promised():
    assert len(EVERY) > 1000
    assert {each.role for each in EVERY} >= {"content", "weights", "flagfile", "from"}
    assert set(BOMBS) <= {each.name for each in CHOSEN}


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: ascii(case.name)[:60])
def test_a_hostile_file_is_answered_in_one_line(case, tmp_path, capfd, monkeypatch):
    for name in ("photo", "painting"):
        data = pictures.saved(pictures.noise(), "PNG")
        (tmp_path / f"{name}.png").write_bytes(data)
    hostile.lay(case, tmp_path / "case")
    monkeypatch.chdir(tmp_path / "case")
    there = sorted(os.listdir())
    status = run.main(hostile.arguments(case))
    said = capfd.readouterr().err
    outcome = hostile.Outcome(status, said, [], 0.0, 0.0)
    assert list(hostile.wrong(case, outcome)) == []
    left = [name for name in os.listdir() if name not in there]
    assert all(status == 0 and name.startswith("out.") for name in left)
    assert len(os.listdir("..")) == 3
