"""The examples of deploy/ can be parsed, and name only flags that there are."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from nst_jax import arguments, flags, usage
from nst_jax.pretrained.known import KNOWN

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))
OWN = {"manifest", "shard", "batch"}
FLAGS = {*arguments.SETTINGS, *usage.NOT_SETTINGS, *OWN}
# Of Dockerfiles.
INSTRUCTIONS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL"),
    *("HEALTHCHECK", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME"),
    "WORKDIR",
}


def commands(text):
    """What follows the program's name in each command of a text, lines joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return re.findall(r"nst_jax\.run((?: +(?:\"[^\"\n]*\"|[^\s\"]+)+)*)", joined)


def instructions():
    """The instructions of the Dockerfile, lines joined, without comments."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line.split(None, 1) for line in joined.splitlines() if line.strip()]


def test_all_examples_are_there():
    names = {path.name for path in DEPLOY.iterdir()}
    assert names == {"Dockerfile", "cloud_tpu.md", "slurm_jobs.sh", "slurm_picture.sh"}
    for path in DEPLOY.iterdir():
        assert re.search(r"Nobody has (run|built)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash(path):
    if not shutil.which("bash"):
        pytest.skip("there is no bash")
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash\n")
    options = re.findall(r"(?m)^#SBATCH (.*)$", text)
    assert options
    assert all(re.fullmatch(r"--[a-z-]+(=\S+)?", option) for option in options)
    # sbatch reads no further than the first command.
    body = text[text.index("set -euo pipefail") :]
    assert "#SBATCH" not in body


@pytest.mark.parametrize("path", [*SCRIPTS, DEPLOY / "cloud_tpu.md"])
def test_flags_are_those_of_the_program(path):
    found = commands(path.read_text(encoding="utf-8"))
    assert found
    for command in found:
        names = re.findall(r"--([a-z_]+)", command)
        assert names
        assert {*names} <= FLAGS


def test_the_flags_of_the_scripts_go_together():
    for path in SCRIPTS:
        (command,) = commands(path.read_text(encoding="utf-8"))
        words = re.sub(r'"?\$(part/\$\w+|\{?\w+\}?|@)"?', "", command).split()
        given = {"content": "a", "style": "b", "output": "c.png", "manifest": "j.csv"}
        given |= {"shard": "0/4", "checkpoint": "k"}
        full = []
        for word in words:
            name = word.removeprefix("--").partition("=")[0]
            full.append(f"--{name}={given[name]}" if name in given else word)
        values = flags.given(full).values
        if "manifest" in values:
            assert flags.own(values, flags.RUN).part() == (0, 4)
        else:
            config = flags.request(flags.given(full), read_settings=str).config
            assert config.spread.meets()
            assert config.output.resume == "exact"


def test_the_dockerfile_is_one():
    found = instructions()
    assert [name for name, _ in found if name not in INSTRUCTIONS] == []
    assert found[0][0] == "FROM"
    assert "latest" not in found[0][1]
    named = dict(found)
    assert json.loads(named["ENTRYPOINT"]) == ["python", "-m", "nst_jax.run"]
    assert json.loads(named["CMD"]) == ["--help"]
    for name, text in found:
        if name == "COPY":
            *sources, _ = text.split()
            assert all((ROOT / source).exists() for source in sources)


def test_extras_and_weights_are_those_that_there_are():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in DEPLOY.iterdir()}
    for name in re.findall(r"EXTRA=(\w+)", texts["Dockerfile"]):
        assert name in extras
    assert "tpu" in extras
    for text in texts.values():
        for name in re.findall(r"pretrained fetch ([\w-]+)", text):
            assert name in KNOWN
