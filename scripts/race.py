"""How long until the loss at which PyTorch's L-BFGS ends.

    python scripts/race.py [--ours=FLAGS] [--evaluations=500] [--turns=5]
        [--peer_python=PYTHON] [--json=FILE] -- FLAGS OF A RUN

Both do the job of those flags: PyTorch by L-BFGS without a line search, as
neural-style-pt does, for so many evaluations; then ours with the flags of `--ours` on
top, until its loss is as low. The first pair runs to its end; the turns that follow
time a few steps of each in alternation, from which the times of all are reckoned.
What compiles has compiled before either clock starts; its time is printed apart.
docs/performance.md has what it found.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_jax import flags, hugepages, start
from nst_jax.benchmark import peer, runner, statistics
from nst_jax.benchmark.cell import Spec
from nst_jax.errors import RequestError

Found = dict[str, Any]
_SECONDS = 15.0  # of steps in each turn
_STRIDE = 5  # steps between looks at the loss


def main(argv: Sequence[str]) -> int:
    """Runs the race and prints it; the exit status."""
    if argv[:1] == ["--ours-only"]:
        return _answer(*argv[1:])
    asked = _asked(argv)
    # For both, as they inherit it.
    os.environ.update(hugepages.environment())
    job = [*asked.job, f"--steps={asked.evaluations}"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = _race(asked, job, Path(scratch))
        except RequestError as error:
            print(f"race: {error}", file=sys.stderr)
            return 2
    print(_told(found))
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _asked(argv: Sequence[str]) -> argparse.Namespace:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--ours", default="", help="flags that only ours takes")
    reader.add_argument("--evaluations", type=int, default=500)
    reader.add_argument("--turns", type=int, default=5)
    reader.add_argument("--peer_python", default="")
    reader.add_argument("--json", default="")
    reader.add_argument("job", nargs="+", help="flags of a run, after --")
    return reader.parse_args(argv)


def _race(asked: argparse.Namespace, job: list[str], folder: Path) -> Found:
    packed = runner.run(
        Spec("pack", [*job, "--precision=float32"], folder=str(folder)), folder
    )
    question = {
        "arrays": str(folder / "job.npz"),
        "job": _or_raise(packed)["job"],
        "device": "cpu",
        "precision": "float32",
        "seconds": _SECONDS,
    }
    torch = peer.Peer(peer.command(asked.peer_python), question, folder)
    apart = peer.difference(packed["terms"], _or_raise(torch.ask("terms"))["terms"])
    if not apart <= peer.TOLERANCE:
        raise RequestError(f"the terms differ by {apart:.1e}: not the same job")
    torch, chosen = peer.fastest(torch)
    variant = _or_raise(chosen)["variant"]
    print(f"race: terms agree to {apart:.1e}; torch: {chosen['best']}", flush=True)
    whole = _or_raise(torch.ask("whole", variant))
    print(f"race: torch ends at {whole['loss']:.6g}", flush=True)
    ours = [*job, *shlex.split(asked.ours)]
    limit = 4 * asked.evaluations
    first = _ours(ours, folder, goal=whole["loss"], limit=limit, seconds=1e9)
    turns = []
    for _ in range(asked.turns):
        theirs = _or_raise(torch.ask("measure", variant))
        mine = _ours(ours, folder, goal=0.0, limit=limit, seconds=_SECONDS)
        turns.append(
            (mine["step_s"], statistics.spread(theirs["step_s"]).median),
        )
    return {
        "evaluations": asked.evaluations,
        "job": asked.job,
        "ours": asked.ours,
        "torch": chosen["best"],
        "loss": whole["loss"],
        "torch_whole_s": whole["whole_s"],
        "ours_first": first,
        "turns": turns,
        "shares": [
            mine * first["steps"] / (theirs * asked.evaluations)
            for mine, theirs in turns
        ],
    }


def _told(found: Found) -> str:
    first = found["ours_first"]
    lines = [
        f"torch: {found['evaluations']} evaluations to {found['loss']:.6g} in "
        f"{found['torch_whole_s']:.1f} s",
        f"ours: {first['steps']} steps to {first['loss']:.6g} in "
        f"{first['seconds']:.1f} s, compiled in {first['compile_s']:.1f} s: "
        f"{first['seconds'] / found['torch_whole_s']:.2f} of torch's time",
    ]
    if found["shares"]:
        middle = statistics.spread(found["shares"])
        sides = zip(*found["turns"], strict=True)
        steps = [statistics.spread(each).median for each in sides]
        lines.append(
            f"by {len(found['turns'])} turns: {steps[0]:.3f} s a step, torch "
            f"{steps[1]:.3f} s: {middle.median:.2f} of its time "
            f"({middle.p10:.2f} to {middle.p90:.2f})"
        )
    return "\n".join(lines)


def _or_raise(found: Found) -> Found:
    for trouble in ("failed", "refused"):
        if trouble in found:
            raise RequestError(found[trouble])
    return found


def _ours(job: list[str], folder: Path, **asked: float) -> Found:
    """Our side, in a process of its own."""
    question = folder / "ours.json"
    question.write_text(json.dumps({"job": job, **asked}))
    program = (sys.executable, __file__, "--ours-only", str(question))
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        raise RequestError(f"ours: {done.stderr.strip().splitlines()[-1]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def _answer(question: str) -> int:
    """Steps until the loss is reached, the seconds are over, or there are enough."""
    asked = json.loads(Path(question).read_text())
    program = flags.Program(needed={}, help=str)
    config = flags.parse(
        asked["job"], read_settings=start.read_settings, program=program
    ).config
    start.prepare_jax("cpu")
    import jax
    import jax.numpy as jnp

    from nst_jax.benchmark import phases

    made = phases.make(config, {})
    state = phases.first(made)
    before = time.perf_counter()
    # No step at all, but compiled for all of them.
    state, _ = made.solver.chunk(made.in_chunk, state, jnp.int32(0))
    jax.block_until_ready(state)
    begun, steps, loss = time.perf_counter(), 0, float("inf")
    while loss > asked["goal"] and steps < asked["limit"]:
        last = jnp.int32(steps + _STRIDE)
        state, info = made.solver.chunk(made.in_chunk, state, last)
        loss, steps = float(info.value), int(state.step)
        seconds = time.perf_counter() - begun
        if seconds > asked["seconds"] or not info.is_finite:
            break
    print(
        json.dumps(
            {
                "steps": steps,
                "loss": loss,
                "seconds": seconds,
                "step_s": seconds / max(steps, 1),
                "compile_s": begun - before,
            }
        )
    )
    return 0


if __name__ == "__main__":
    start.enter(main)
