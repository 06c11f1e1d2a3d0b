"""Ours and PyTorch's, in turn: the ratio of their times, and whether both agree."""

import importlib.util
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nst_jax
from nst_jax.benchmark import runner, statistics
from nst_jax.benchmark.asked import Job
from nst_jax.benchmark.cell import Spec
from nst_jax.benchmark.runner import Command, Found
from nst_jax.errors import RequestError

# How far apart the terms may be, and below which share of their sum nobody looks.
TOLERANCE = 1e-4
_NEGLIGIBLE = 1e-6
# What OpenMP reads when it starts.
_WAITING = "OMP_WAIT_POLICY"
_DEVICES = {"cpu": "cpu", "gpu": "cuda"}


def command(python: str) -> Command:
    """How the peer is started, if it can be.

    Raises:
        RequestError: it is not there, or that Python has no torch.
    """
    script = Path(nst_jax.__file__).parents[1] / "benchmarks" / "torch_reference.py"
    if not script.is_file():
        raise RequestError(
            "--peer needs benchmarks/torch_reference.py of a checkout; run it from one"
        )
    if not python and importlib.util.find_spec("torch") is None:
        raise RequestError(
            '--peer needs torch: python -m pip install -e ".[benchmark]", or '
            "--peer_python=PATH of a Python that has it"
        )
    program = shutil.which(python or sys.executable)
    if program is None:
        raise RequestError(f"--peer_python={python!r} is no program; give its path")
    if python:
        asked = (program, "-c", "import torch, numpy")
        if subprocess.run(asked, capture_output=True).returncode:
            raise RequestError(
                f"--peer_python={python!r} has no torch; install it there"
            )
    return Command((program, str(script)), os.environ)


class Peer(NamedTuple):
    """A job as the peer is asked to do it."""

    command: Command
    question: Found
    folder: Path

    def ask(self, kind: str, variant: str = "") -> Found:
        """What the peer answers to one kind of question."""
        asked = {**self.question, "kind": kind, "variant": variant}
        return runner.ask(self.command, asked, self.folder)


def compare(
    job: Job,
    facts: Mapping[str, Any],
    command: Command,
    folder: Path,
    *,
    seconds: float,
    turns: int,
    whole: bool,
    tell: Callable[[str], None],
) -> Found:
    """Both programs' times in alternation; `failed` says why there are none.

    Args:
        job: what both do.
        facts: what the check of the job has found.
        command: starts the peer.
        folder: for the arrays that both read.
        seconds: of steady steps in each turn.
        turns: how often each is measured.
        whole: whether the peer runs the job to its end as well.
        tell: is told what goes on.
    """
    found: Found = {"workload": job.name, "precision": facts["precision"]}
    device = _DEVICES.get(facts["platform"])
    if device is None:
        return found | {"failed": f"torch does not run on {facts['platform']}"}
    flags = [*job.arguments, "--precision=float32"]
    packed = runner.run(Spec("pack", flags, folder=str(folder)), folder)
    if "job" not in packed:
        return found | packed
    question = {
        "arrays": str(folder / "job.npz"),
        "job": packed["job"],
        "device": device,
        "precision": facts["precision"],
        "seconds": seconds,
    }
    found |= _agreement(packed["terms"], Peer(command, question, folder).ask("terms"))
    if "failed" in found:
        return found
    tell(f"{job.name}: terms agree to {found['terms_apart']:.1e}; torch tries variants")
    best, chosen = fastest(Peer(command, question, folder))
    found |= chosen
    if "failed" in found:
        return found
    tell(f"{job.name}: torch is fastest with {found['best']}")
    found |= _turns(job, best, found["variant"], seconds, turns)
    if whole and "failed" not in found:
        found["peer_whole"] = best.ask("whole", found["variant"])
    return found


def _agreement(ours: Mapping[str, Any], theirs: Found) -> Found:
    """How far the terms are apart; `failed` where that is too far."""
    if "failed" in theirs:
        return theirs
    apart = difference(ours, theirs["terms"])
    found: Found = {"terms_apart": apart, "torch": theirs["torch"]}
    if not apart <= TOLERANCE:
        found["failed"] = f"the terms differ by {apart:.1e}: not the same job"
    return found


def fastest(peer: Peer) -> tuple[Peer, Found]:
    """The peer as it is fastest, and the seconds a step of every way that was tried."""
    tried: dict[tuple[str, str], float] = {}
    failures: Found = {}
    ways = _ways(peer)
    for way, each in ways.items():
        answer = each.ask("choose")
        if "failed" in answer:
            failures[way] = answer["failed"]
            continue
        failures |= answer["failures"]
        tried |= {(way, name): value for name, value in answer["variants"].items()}
    if not tried:
        return peer, {"failed": f"torch: {failures}"}
    way, variant = min(tried, key=lambda key: tried[key])
    return ways[way], {
        "variants": {" ".join(key).strip(): value for key, value in tried.items()},
        "failures": failures,
        "variant": variant,
        "best": f"{way} {variant}".strip(),
    }


def _ways(peer: Peer) -> dict[str, Peer]:
    """How its threads may wait for each other.

    By default they spin, which is best alone on a machine and many times slower
    than sleeping where others are at work.
    """
    environment = {**(peer.command.environment or {})}
    if peer.question["device"] != "cpu" or _WAITING in environment:
        return {"": peer}
    asleep = Command(peer.command.arguments, {**environment, _WAITING: "passive"})
    return {"": peer, "asleep": peer._replace(command=asleep)}


def _turns(job: Job, peer: Peer, variant: str, seconds: float, turns: int) -> Found:
    """Both in alternation, the first of a pair changing."""
    found: dict[str, list[Found]] = {"ours": [], "peer": []}
    spec = Spec("measure", job.arguments, seconds)
    for turn in range(turns):
        for name in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            answer = (
                runner.run(spec, peer.folder)
                if name == "ours"
                else peer.ask("measure", variant)
            )
            if "step_s" not in answer:
                why = answer.get("failed") or answer.get("refused")
                return {**found, "failed": f"{name}: {why}"}
            found[name].append(_turn(name, answer))
    return {**found, **summary(found["ours"], found["peer"])}


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """The largest relative difference of any term at any of the images.

    Terms that are next to nothing of their image's sum count by that sum.

    >>> one = {"initial": {"content": {"a": 2.0}, "style": {}, "tv": 0.0}}
    >>> two = {"initial": {"content": {"a": 1.0}, "style": {}, "tv": 0.0}}
    >>> difference(one, two)
    0.5
    """
    worst = 0.0
    for image in ours:
        mine, other = dict(_flat(ours[image])), dict(_flat(theirs[image]))
        if mine.keys() != other.keys():
            return math.inf
        floor = _NEGLIGIBLE * sum(mine.values())
        for name, value in mine.items():
            scale = max(abs(value), abs(other[name]), floor)
            apart = abs(value - other[name]) / scale if scale else 0.0
            # Not a number is as wrong as can be.
            worst = max(worst, apart if math.isfinite(apart) else math.inf)
    return worst


def summary(ours: list[Found], peer: list[Found]) -> Found:
    """How many times ours is as fast: over the turns, each against its neighbour.

    >>> summary([{"step_s": 1.0}], [{"step_s": 2.0}])["ratio"]
    [2.0, 2.0, 2.0, 1]
    """
    pairs = zip(ours, peer, strict=True)
    ratios = [theirs["step_s"] / mine["step_s"] for mine, theirs in pairs]
    return {"ratios": ratios, "ratio": list(statistics.spread(ratios))}


def _flat(terms: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in terms.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{key}", each) for key, each in value.items())
        else:
            yield name, value


def _turn(name: str, answer: Found) -> Found:
    """What is kept of one measurement."""
    spread = statistics.spread(answer["step_s"])
    compiling = (
        answer["first_step_s"] - spread.median
        if name == "peer"
        else answer["phases_s"]["trace"] + answer["phases_s"]["compile"]
    )
    return {"step_s": spread.median, "spread": list(spread), "compile_s": compiling}
