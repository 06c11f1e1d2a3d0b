"""The benchmark: what it asks for, how it counts, and what it leaves on disk."""

import csv
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import flagfile, flags, optimizers, solve
from nst_jax.arrays import LossTerms
from nst_jax.benchmark import (
    asked,
    ceiling,
    earlier,
    flops,
    machine,
    pace,
    phases,
    program,
    runner,
    sensors,
    session,
    statistics,
    table,
    verdict,
    workloads,
)
from nst_jax.benchmark.asked import BenchmarkConfig, Job
from nst_jax.benchmark.cell import Spec
from nst_jax.config import Config, OptimizerConfig
from nst_jax.errors import RequestError

# So little of the network that it compiles in a moment.
SMALL = (
    *("--size=32", "--weights=random", "--device=cpu", "--measure_seconds=0.1"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1"),
)
V1 = "nst-256-adam-200/v1"
# For requests that are refused.
OVER, OWN = "--overwrite", ("--content=text.json", "--style=text.json")


def request(*arguments):
    program = flags.Program(needed={}, help=str, own=BenchmarkConfig)
    return flags.parse(arguments, read_settings=str, program=program)


def refused(capsys, *arguments):
    """The one line that a refused request is answered with."""
    there = sorted(os.listdir())
    assert program.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sorted(os.listdir()) == there
    return said.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cell(name=V1, precision="float32", seconds=(1.0, 1.0), **more):
    """A measured cell, as it stands in the results."""
    facts = {
        "workload": name,
        "precision": precision,
        "verdict": "valid",
        "step_s": list(seconds),
        "is_stable": True,
        "evaluations_per_step": 2.0,
        "shape": [10, 20],
        "flops_algorithmic": 4e12,
        "flops_executed": 3e12,
        "flops_executed_by": "XLA",
        "joules_per_step": None,
        "peak_bytes": {"host": 2**20},
        "phases_s": dict.fromkeys(
            (
                *("import", "device", "weights", "pictures", "targets", "kernels"),
                *("trace", "compile", "first step", "warm-up"),
            ),
            0.5,
        ),
        "device": "CPU (2 cores)",
        "products": "direct",
        "weights": "vgg19-caffe",
        "weights_sha256": workloads.VGG19,
        "sensors": {"driver": machine.NOT_READABLE},
        "machine": {"processor": "a", "commit": "b"},
    }
    return {**facts, **more}


# What is asked for


def test_own_flags_hide_none_of_a_run():
    own = vars(BenchmarkConfig())
    assert not own.keys() & {*flags.settings(Config), *flags.usage.NOT_SETTINGS}


def test_help_names_every_flag_and_workload(capsys):
    assert program.main(["--help"]) == 0
    said = capsys.readouterr().out
    for field in dataclasses.fields(BenchmarkConfig):
        assert f"\n  --{field.name}" in said
    assert all(f"\n  {each.name}" in said for each in workloads.WORKLOADS)
    assert all(len(line) <= 88 for line in said.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workload=nst-512-adam",), "did you mean nst-512-adam-500/v1?"),
        (("--workload=all", "--sise=3"), "did you mean --size?"),
        (("--workload=all", "--style=a.jpg"), "has pictures of its own"),
        (("--content=a.jpg",), "both --content=PHOTO and --style=PAINTING"),
        (("--preset=coursera",), "needs pictures"),
        (("--precisions=float64",), "--precisions must be some of float32, tf32"),
        (("--content=no.jpg", "--style=no.jpg"), "does not exist"),
        (("--json=no/x.json",), "does not exist"),
        (("--json=old.json",), "exists already"),
        (("--json=x.json", "--csv=./x.json"), "over the file of --json"),
        (("--json=x", "--profile=./x"), "over the folder of --profile"),
        (("--compare=mine.json", "--json=./mine.json", OVER), "file of --compare"),
        ((*OWN, "--csv=./text.json", OVER), "over the file of --content"),
        ((*OWN, "--json=link.json", OVER), "over the file of --content"),
        (("--flagfile=own.flags", "--json=own.flags", OVER), "settings come from"),
        (("--profile=traces", "--compare=no.json"), "cannot read"),
        (("--profile=old.json/in",), "is no folder"),
        (("--compare=no.json",), "cannot read"),
        (("--compare=old.json",), f"method 0, this is method {earlier.METHOD}"),
        (("--compare=text.json",), "it is not JSON"),
        (("--compare=other.json",), "holds no results"),
        (("--compare=else.json",), "it has one/v1"),
        (("--peer", "--peer_python=no-such-python"), "is no program"),
        (("--profile=old.json",), "is no folder"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(
    folder, capsys, monkeypatch, arguments, words
):
    monkeypatch.setattr(session, "measure", lambda work: pytest.fail("it is measured"))
    good = {"made_by": earlier.MADE_BY, "method": earlier.METHOD}
    files = {
        "old": {**good, "method": 0},
        "other": [1],
        "else": {**good, "cells": [{"workload": "one/v1"}]},
    }
    for name, content in files.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    Path("text.json").write_text("{")
    Path("link.json").symlink_to("text.json")
    Path("mine.json").write_text(json.dumps({**good, "cells": [cell()]}))
    Path("own.flags").write_text(f"--workload={V1}\n")
    assert words in refused(capsys, *arguments)


def test_wrong_requests_load_no_jax(folder):
    code = (
        "import sys; from nst_jax.benchmark import program;"
        "assert program.main(['--workload=x']) == 2;"
        "assert program.main(['--dry_run', '--workload=all']) == 0;"
        "assert 'jaxlib' not in sys.modules, 'JAX is loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_dry_run_leaves_no_folder(folder):
    arguments = (f"--workload={V1}", "--profile=a/traces", "--dry_run")
    assert program.main(arguments) == 0
    assert os.listdir() == []


def test_workloads_are_frozen_as_they_were():
    """Another number in one is another version of it."""
    marks = {
        each.name: hashlib.sha256(each.settings.encode()).hexdigest()[:12]
        for each in workloads.WORKLOADS
    }
    assert marks == {
        "nst-256-adam-200/v1": "56d6acca72da",
        "nst-512-adam-500/v1": "18ea2c0ee010",
        "nst-512-lbfgs-200/v1": "3b90d1301a6c",
        "nst-512-plain-300/v1": "ecab9fd71eb9",
        "nst-1024-adam-100/v1": "e0455a82fbba",
    }


def test_pictures_of_workloads_are_square_and_checked(tmp_path):
    workloads.lay_out(tmp_path)
    job = asked.jobs(request(f"--workload={V1}"), tmp_path)[0]
    from nst_jax import inputs

    assert inputs.read(job.config).content.shape == (256, 256, 3)
    for name in workloads.PICTURES:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(RequestError, match="has been changed"):
        workloads.lay_out(tmp_path, [tmp_path])
    with pytest.raises(RequestError, match="neither in the package"):
        workloads.lay_out(tmp_path, [tmp_path / "nowhere"])


def test_what_changes_a_workload_is_in_its_name(tmp_path):
    def named(*arguments):
        (job,) = asked.jobs(request(f"--workload={V1}", *arguments), tmp_path)
        return job

    free = named("--device=cpu", "--precision=mixed", "--weights=random", "--output=x")
    assert (free.name, free.frozen is not None) == (V1, True)
    assert free.config.network.weights == "random"
    assert free.precision == "mixed"
    same = named("--steps=200")
    assert same.frozen is not None
    other = named("--steps=100", "--history=3")
    assert (other.name, other.frozen) == (f"{V1} with history=3 steps=100", None)
    assert other.config.solve.steps == 100


def test_flags_describe_a_job_of_their_own(tmp_path):
    given = ("--content=a.jpg", "--style=b.jpg", "--precisions=float32,mixed")
    one, two = asked.jobs(request(*given), tmp_path)
    assert one.name == two.name
    assert (one.precision, two.precision) == ("float32", "mixed")
    (other, _) = asked.jobs(request(*given, "--steps=3"), tmp_path)
    assert other.name != one.name
    again = flags.parse(
        asked.arguments(two.config),
        read_settings=str,
        program=flags.Program(needed={}, help=str),
    )
    absolute = flagfile.dump(two.config, folders=True)
    assert flagfile.dump(again.config, folders=True) == absolute


# Counting


def test_xla_counts_a_known_loop_rightly_here():
    assert flops.is_counted_rightly("float32")
    assert flops.is_counted_rightly("mixed")


def test_algorithmic_operations_by_hand():
    # conv1_1 and conv1_2 at 8x6, conv2_1 at 4x3; Gram matrices of both blocks.
    convolutions = 9 * 48 * (3 * 64 + 64 * 64) + 9 * 12 * 64 * 128
    grams = 48 * 64**2 + 12 * 128**2
    found = flops.algorithmic(
        (8, 6), ("relu1_2",), ("relu1_1", "relu2_1"), "vgg19", "floor"
    )
    assert found == 4 * (convolutions + grams)
    odd = [
        flops.algorithmic((9, 7), (), ("relu2_1",), "vgg19", rounding)
        for rounding in ("floor", "ceil")
    ]
    last = 9 * 64 * 128 + 128**2
    assert odd[1] - odd[0] == 4 * (5 * 4 - 4 * 3) * last


def test_products_are_counted_through_loops():
    a, b = jnp.ones((3, 5)), jnp.ones((5, 7))
    kernel = jnp.ones((3, 3, 2, 4))

    def program(a, b, x):
        def body(carry, _):
            return carry + (a @ b).sum(), None

        total, _ = jax.lax.scan(body, 0.0, None, length=6)
        features = jax.lax.conv_general_dilated(
            x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return total + features.sum()

    traced = jax.make_jaxpr(jax.jit(program))(a, b, jnp.ones((8, 9, 2)))
    expected = 6 * 2 * 3 * 5 * 7 + 2 * 72 * 9 * 2 * 4
    assert flops.in_products(traced.jaxpr) == expected

    def endless(a, b):
        return jax.lax.while_loop(lambda c: c < 1e9, lambda c: c + (a @ b).sum(), 0.0)

    assert flops.in_products(jax.make_jaxpr(endless)(a, b).jaxpr) is None


def test_a_second_loop_is_left_to_the_products():
    def twice(x, n):
        def inner(x):
            return jax.lax.fori_loop(0, 3, lambda i, x: x @ x, x)

        return jax.lax.fori_loop(0, n, lambda i, x: inner(x), x)

    compiled = jax.jit(twice).lower(jnp.ones((8, 8)), 2).compile()
    found = flops.executed(compiled, 3072.0, 3072, "float32")
    assert found == (3072.0, "the program's products")
    assert flops.executed(compiled, None, 3072, "float32") == (None, "unknown")

    def once(x, n):
        return jax.lax.fori_loop(0, n, lambda i, x: x @ x, x)

    compiled = jax.jit(once).lower(jnp.ones((64, 64)), 2).compile()
    count, source = flops.executed(compiled, None, 2 * 64**3, "float32")
    assert (round(count / 64**3, 1), source) == (2.0, "XLA")
    # Too few to be all there is.
    assert flops.executed(compiled, 5.0, 64**4, "float32")[0] == 5.0


def _bowl(problem, image):
    """Terms whose evaluations are counted, by a side effect."""
    jax.debug.callback(lambda: problem_calls.append(1))
    value = jnp.sum((image - problem) ** 4) + jnp.sum((image - problem) ** 2)
    return LossTerms({}, {}, value)


problem_calls: list[int] = []


@pytest.mark.parametrize("box", ["end", "step"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_evaluations_are_as_many_as_there_are(optimizer, box):
    settings = OptimizerConfig(optimizer=optimizer, box=box)
    made = solve.make(_bowl, optimizers.make(settings))
    goal = jnp.asarray(np.linspace(0, 2, 48, dtype=np.float32).reshape(4, 4, 3))

    def start():
        return made.init(jnp.full((4, 4, 3), 0.5))

    loop = pace.Loop(made.chunk, goal, start, 6)
    problem_calls.clear()
    pace.whole(loop, 1)
    jax.effects_barrier()
    evaluated = len(problem_calls)
    counts = pace.evaluations(loop, 6, is_projected=box == "step")
    assert len(counts) == 6
    assert sum(counts) == evaluated


class Clock:
    """A clock that only the measured program moves on."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(pace, "time", made)
    return made


def _counting_loop(clock, steps, seconds=lambda step: 0.01):
    """A loop that moves nothing but the clock."""
    zero = jnp.zeros(())

    def start():
        image = jnp.zeros((1, 1, 3))
        return solve.State(image, None, jnp.int32(0), image)

    def chunk(problem, state, last):
        for step in range(int(state.step), int(last)):
            clock.now += seconds(step)
        return state._replace(step=last), solve.Info(zero, zero, jnp.bool_(True))

    return pace.Loop(chunk, None, start, steps)


def test_warm_up_waits_until_chunks_are_even(clock):
    loop = _counting_loop(clock, 1000, lambda step: 0.16 if step < 20 else 0.04)
    warm = pace.warm_up(loop, loop.start(), 4)
    # A second of steps, though they became faster on the way.
    assert warm.length in (24, 25)
    assert (warm.is_stable, warm.seconds < 20) == (True, True)
    wild = iter([4, 8] * 1000)
    loop = _counting_loop(clock, 1000, lambda step: next(wild))
    warm = pace.warm_up(loop, loop.start(), 20)
    assert not warm.is_stable
    assert 120 <= warm.seconds <= 128  # six times as long, and no longer


def test_chunks_are_whole_and_start_again_at_the_end(clock):
    loop = _counting_loop(clock, 7)
    samples = pace.steady(loop, loop.start(), 3, 0.0)
    assert [(each.first, each.last) for each in samples[:4]] == [
        *((0, 3), (3, 6), (6, 7), (0, 3))
    ]
    assert len(pace.full(samples, 3)) == 5
    assert samples[0].each == pytest.approx(0.01)
    state, rows = pace.whole(loop, 3)
    assert (int(state.step), [row[0] for row in rows]) == (7, [3, 6, 7])


def test_a_loss_that_breaks_is_a_fault(clock):
    loop = _counting_loop(clock, 5)
    broken = loop._replace(chunk=lambda *given: loop.chunk(*given[:2], jnp.int32(1)))
    with pytest.raises(pace.Fault, match="after step 1"):
        pace.advance(broken, loop.start(), 3)


def test_quantiles_are_numpys():
    values = [5.0, 1.0, 4.0, 2.0]
    for share in (0, 0.1, 0.5, 0.9, 1):
        assert statistics.quantile(values, share) == pytest.approx(
            np.quantile(values, share)
        )


# What is read of the machine


def test_quota_of_a_container(tmp_path):
    assert machine.quota(tmp_path) == machine.NOT_READABLE
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.quota(tmp_path) == "none"
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.quota(tmp_path) == "1.5 processors"
    (tmp_path / "cpu.max").write_text("odd\n")
    assert machine.quota(tmp_path) == machine.NOT_READABLE


def test_only_variables_that_matter_are_kept():
    given = {"XLA_FLAGS": "--x", "SECRET": "y"}
    assert machine.variables(given) == {"XLA_FLAGS": "--x"}


def test_a_gpu_is_asked_by_its_own_program(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '570.1, 1980, [N/A], 3201, 700.00, 41'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = sensors.gpu(0)
    assert found["driver"] == "570.1"
    assert found["largest clock MHz"] == machine.NOT_READABLE
    assert found["power limit W"] == "700.00"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert set(sensors.gpu(0).values()) == {machine.NOT_READABLE}
    assert set(sensors.gpu(None).values()) == {machine.NOT_READABLE}


def test_figures_of_the_machine_and_of_the_device_have_names_of_their_own():
    assert not sensors.gpu(None).keys() & machine.facts().keys()


def test_energy_is_told_only_where_it_is_known():
    assert sensors.meter("tpu", 0)() is None
    assert sensors.used(1.0, 3.5) == 2.5
    assert sensors.used(3.0, 1.0) is None
    assert sensors.used(None, 1.0) is None


def test_datasheets_say_nothing_of_unknown_devices():
    assert ceiling.datasheet("NVIDIA H200", "float32") == 67e12
    assert ceiling.datasheet("Tesla T4", "mixed") is None
    assert ceiling.datasheet("cpu", "float32") is None


# What comes out


@pytest.mark.parametrize(
    ("target", "loss", "words"),
    [
        (100.0, 100.9, "valid: loss 100.9 (+0.90%)"),
        (100.0, 101.1, "INVALID: loss 101.1, target 100 (+1.10%)"),
        (100.0, 98.0, "INVALID"),
        (100.0, float("nan"), "INVALID"),
        (None, 98.0, "no target yet"),
    ],
)
def test_a_result_is_held_to_its_target(target, loss, words):
    workload = workloads.WORKLOADS[0]._replace(target=target)
    job = Job(workload.name, Config(), workload)
    found = cell(loss=loss)
    assert words in verdict.of(found, job, is_whole=True)
    assert "timing only" in verdict.of(found, job, is_whole=False)
    random = found | {"weights": "random"}
    assert "random weights" in verdict.of(random, job, is_whole=True)
    other = found | {"weights_sha256": "0"}
    assert "other weights" in verdict.of(other, job, is_whole=True)
    changed = job._replace(frozen=None)
    assert "not a frozen" in verdict.of(found, changed, is_whole=True)


def test_time_to_loss_is_where_the_curve_is_near_the_target():
    workload = workloads.WORKLOADS[0]._replace(target=100.0)
    job = Job(workload.name, Config(), workload)
    curve = [[1, 0.5, 200.0], [2, 1.0, 100.5], [3, 1.5, 99.0]]
    assert verdict.time_to_loss({"curve": curve}, job) == 1.0
    assert verdict.time_to_loss({"curve": curve[:1]}, job) is None
    assert verdict.time_to_loss({"curve": curve}, job._replace(frozen=None)) is None


def test_a_row_has_the_figures_of_its_cell():
    ceilings = {"float32": {"flops": 12e12, "datasheet": None}}
    row = table.row(cell(seconds=(0.5, 0.5)), ceilings)
    assert row["steps_per_s"] == 2
    assert row["evaluations_per_s"] == 4
    assert row["pixels_per_s"] == 400
    assert row["flops_algorithmic_per_s"] == 16e12
    assert row["share_of_ceiling"] == 1
    unknown = table.row(cell(flops_executed=None), ceilings)
    assert unknown["share_of_ceiling"] is None
    text = table.work([unknown])
    assert "unknown" in text
    failed = table.row({"workload": "a", "precision": "b", "verdict": "FAILED: x"}, {})
    assert "a b: FAILED: x" in table.speed([row, failed])
    rows = list(csv.DictReader(table.in_csv([failed, row]).decode().splitlines()))
    assert rows[0]["steps_per_s"] == ""
    assert rows[1]["processor"] == "a"


def test_conditions_are_told_once():
    one = cell(sensors={"driver": "570.1", "power limit W": machine.NOT_READABLE})
    said = table.conditions([one, one, {"workload": "x", "verdict": "FAILED"}])
    assert said.count("\n") == 0
    assert "driver 570.1" in said
    assert "power" not in said
    assert "processor a" in said
    assert table.conditions([one, cell(device="other")]).count("\n") == 1


def test_comparison_says_what_was_different():
    old = {"cells": [cell(seconds=(1.0, 1.0, 1.0)), cell("gone")]}
    new = [
        cell(
            seconds=(0.5, 0.5),
            device="other",
            products="winograd",
            machine={"commit": "c"},
        ),
        cell(precision="mixed"),
    ]
    said = earlier.text(old, new, "old.json")
    assert "2.000" in said
    assert f"{V1} float32: another device" in said
    assert f"{V1} float32: another products" in said
    assert f"{V1} float32: another commit" in said
    assert f"{V1} mixed: not in old.json" in said


def test_processes_that_break_are_told_apart(tmp_path):
    def answer(code):
        command = runner.Command((sys.executable, "-c", code))
        return runner.ask(command, {"a": 1}, tmp_path)

    copy = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"
    assert answer(copy) == {"a": 1}
    assert answer("raise SystemExit('no luck')") == {"failed": "status 1: no luck"}
    killed = answer("import os; os.kill(os.getpid(), 9)")
    assert "SIGKILL; the system may have run out of memory" in killed["failed"]
    assert "said nothing" in answer("")["failed"]


def test_a_cell_that_fails_is_reported_and_the_others_go_on(folder, monkeypatch):
    known = {"precision": "float32", "weights": "random", "platform": "cpu"}

    def run(spec, place):
        match spec.kind:
            case "check":
                return known
            case "ceiling":
                return {"flops": 1e12, "shape": "1x1x1", "datasheet": None, "all": {}}
        if "--size=512" in spec.arguments:
            return {"failed": "out of memory"}
        return cell(weights="random")

    monkeypatch.setattr(runner, "run", run)
    names = f"--workload={V1},nst-512-plain-300/v1"
    assert program.main([names, "--json=a.json", "--csv=a.csv", "--quiet"]) == 1
    found = json.loads(Path("a.json").read_text())
    verdicts = {each["workload"]: each["verdict"] for each in found["cells"]}
    assert verdicts["nst-512-plain-300/v1"] == "FAILED: out of memory"
    assert verdicts[V1] == "random weights: timing only"
    assert found["is_complete"]
    assert len(list(csv.DictReader(Path("a.csv").read_text().splitlines()))) == 2


class Recorder:
    """A loop that keeps the problem that it is compiled for."""

    problem = None

    def init(self, image):
        start = optimizers.make(OptimizerConfig(optimizer="adam")).init(image)
        return solve.State(image, start, jnp.int32(0), image)

    @property
    def chunk(self):
        return self

    def lower(self, problem, state, last):
        self.problem = problem
        return self

    def compile(self):
        return self


def test_what_is_timed_and_counted_is_what_a_run_computes(tmp_path):
    """Where a run spreads its kernels for Winograd's products, so is it here."""
    workloads.lay_out(tmp_path)
    arguments = (*SMALL, "--size=128", "--convolution=winograd")
    arguments += ("--content_layers=relu1_2", "--style_layers=relu1_2")
    (job,) = asked.jobs(request(f"--workload={V1}", *arguments), tmp_path)
    times = {}
    made = phases.make(job.config, times)
    made = made._replace(solver=Recorder())
    ready = phases._compile(made, times)
    for problem in (made.solver.problem, ready.loop.problem):
        assert "spread" in problem.params["conv1_2"]
    # The terms are computed once, directly.
    assert "kernel" in made.problem.params["conv1_2"]
    assert "kernels" in times
    direct = flops.algorithmic((128, 128), ("relu1_2",), ("relu1_2",), "vgg19", "floor")
    found = phases._executed(ready._replace(program=None), direct)
    assert 0.2 < found["flops_executed"] / direct < 0.6
    assert phases.facts(made, jax.devices()[0])["products"] == "winograd"


# The whole, in processes


def test_a_measurement_from_start_to_end(folder, capsys):
    arguments = [f"--workload={V1}", *SMALL, "--quick", "--quiet", "--json=a.json"]
    arguments += ["--profile=traces"]
    assert program.main(arguments) == 0
    said = capsys.readouterr().out
    assert f"{V1} with content_layers=relu2_1 size=32 style_layers=" in said
    assert "float32: random weights: timing only" in said
    found = json.loads(Path("a.json").read_text())
    (one,) = found["cells"]
    assert found["method"] == earlier.METHOD
    assert (one["shape"], one["precision"]) == ([32, 32], "float32")
    assert len(one["step_s"]) >= 5
    assert 0.2 < one["flops_executed"] / one["flops_algorithmic"] < 1.1
    assert one["peak_bytes"]["host"] > 2**27
    assert {"kernels", "trace", "compile", "first step"} <= one["phases_s"].keys()
    assert list(Path("traces", "01").rglob("*.pb"))
    assert one["machine"]["versions"].startswith("jax ")
    assert found["ceilings"]["float32"]["flops"] > 1e9
    refused(capsys, *arguments)
    assert "has none of" in refused(capsys, f"--workload={V1}", "--compare=a.json")


def test_a_whole_job_in_a_cell(tmp_path):
    """The loss that validates is that of a run of the same settings."""
    from nst_jax import inputs, pretrained, transfer

    workloads.lay_out(tmp_path)
    more = ("--workload=nst-512-lbfgs-200/v1", "--steps=4", *SMALL)
    (job,) = asked.jobs(request(*more), tmp_path)
    found = runner.run(Spec("measure", job.arguments, 0.1, whole=True), tmp_path)
    weights = pretrained.load("vgg19", "random", quiet=True, announce=lambda line: None)
    given = inputs.read(job.config).final
    result = transfer.stylize(given.content, given.styles[0], weights, job.config)
    assert found["loss"] == pytest.approx(float(result.terms.total), rel=1e-3)
    assert [row[0] for row in found["curve"]] == [1, 2, 3, 4]
    assert found["evaluations_per_step"] >= 1
    assert found["flops_executed_by"] == "the program's products"


def test_an_interruption_keeps_what_is_there(folder):
    code = (
        "import sys; from nst_jax import start; from nst_jax.benchmark import program;"
        "from nst_jax.benchmark import runner;"
        "known = {'precision': 'float32', 'weights': 'random', 'platform': 'cpu'};"
        "wait = (sys.executable, '-c', 'import time; time.sleep(60)');"
        "run = lambda spec, place: known if spec.kind == 'check' else"
        " {'failed': 'x'} if spec.kind == 'ceiling' else"
        " (print('there', flush=True), runner.ask(runner.Command(wait), {}, place))[1];"
        "runner.run = run; start.enter(program.main)"
    )
    command = (sys.executable, "-c", code, f"--workload={V1}", "--json=a.json")
    with subprocess.Popen(
        (*command, "--quiet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "there\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said, warned = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in warned
    found = json.loads(Path("a.json").read_text())
    assert not found["is_complete"]
    assert "nothing was measured" in said
