"""Ours against PyTorch's: whether they do the same, and how the ratio is made."""

import dataclasses
import importlib.util
import json
import math
import pathlib
import sys
import types

import numpy as np
import pytest

import nst_jax
from nst_jax import flags
from nst_jax.benchmark import asked, pack, peer, runner, workloads
from nst_jax.benchmark.asked import BenchmarkConfig
from nst_jax.benchmark.cell import Spec
from nst_jax.config import ObjectiveConfig
from nst_jax.errors import RequestError
from nst_jax.settings import setting

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch is for those who have it: pip install -e '.[benchmark]'",
)
SMALL = (
    *("--size=32", "--weights=random", "--device=cpu", "--steps=3"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1,relu2_1"),
)
FACTS = {"platform": "cpu", "precision": "float32"}


def job(folder, *arguments, workload="nst-512-adam-500/v1"):
    program = flags.Program(needed={}, help=str, own=BenchmarkConfig)
    given = (f"--workload={workload}", *SMALL, *arguments)
    request = flags.parse(given, read_settings=str, program=program)
    workloads.lay_out(folder)
    return asked.jobs(request, folder)[0]


def terms(**changed):
    content, style = {"a": 1.0}, {"b": 2.0}
    return {"initial": {"content": content, "style": style, "tv": 0.0, **changed}}


def test_difference_is_relative_but_for_next_to_nothing():
    assert peer.difference(terms(), terms()) == 0
    assert peer.difference(terms(), terms(style={"b": 2.002})) == pytest.approx(
        1e-3, rel=2e-3
    )
    assert peer.difference(terms(), terms(tv=1e-12)) < 1e-5
    assert peer.difference(terms(), terms(tv=math.nan)) == math.inf
    assert peer.difference(terms(), terms(style={"c": 2.0})) == math.inf


def test_ratio_is_of_neighbours():
    ours = [{"step_s": each} for each in (1.0, 2.0, 4.0)]
    theirs = [{"step_s": each} for each in (2.0, 4.0, 16.0)]
    found = peer.summary(ours, theirs)
    assert found["ratios"] == [2, 2, 4]
    assert found["ratio"][0] == 2


def test_what_the_peer_does_not_know_is_said(tmp_path):
    lbfgs = job(tmp_path, workload="nst-512-lbfgs-200/v1")
    spec = Spec("pack", lbfgs.arguments, folder=str(tmp_path))
    assert "line_search of this job" in runner.run(spec, tmp_path)["refused"]


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--basis=waves", "basis"),
        ("--nesterov", "nesterov"),
        ("--region_weights=2", "region_weights"),
        ("--balance=range", "balance"),
        ("--style_reduction=sum", "style_reduction"),
    ],
)
def test_settings_that_the_peer_has_not_are_named(tmp_path, flag, name):
    with pytest.raises(RequestError, match=f"only; {name} of this job"):
        pack.check(job(tmp_path, flag).config)


def test_a_setting_that_comes_later_is_not_taken_for_known(tmp_path):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Later(ObjectiveConfig):
        novelty: float = setting(0.0, "What nobody has thought of.")

    given = job(tmp_path, "--history=3", "--color=luminance", "--tv_weight=2").config
    goal = given.objective
    values = {f.name: getattr(goal, f.name) for f in dataclasses.fields(goal)}
    pack.check(dataclasses.replace(given, objective=Later(**values)))
    later = Later(**values, novelty=1.0)
    with pytest.raises(RequestError, match="only; novelty of this job"):
        pack.check(dataclasses.replace(given, objective=later))


@pytest.mark.parametrize(
    ("kind", "precision", "is_rough"),
    [("terms", "tf32", False), ("choose", "tf32", True), ("choose", "mixed", False)],
)
def test_terms_are_compared_in_float32_however_it_is_timed(
    tmp_path, monkeypatch, kind, precision, is_rough
):
    """With a torch of switches alone, as not everybody has it."""
    torch = types.ModuleType("torch")
    cudnn, cuda = types.SimpleNamespace(), types.SimpleNamespace()
    cuda.matmul = types.SimpleNamespace()
    torch.backends = types.SimpleNamespace(cudnn=cudnn, cuda=cuda)
    inner = types.ModuleType("torch.nn")
    inner.functional = types.ModuleType("torch.nn.functional")
    for each in (torch, inner, inner.functional):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    script = pathlib.Path(nst_jax.__file__).parents[1] / "benchmarks"
    found = importlib.util.spec_from_file_location(
        "torch_reference", script / "torch_reference.py"
    )
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(module, kind, lambda *given: {"is_rough": cudnn.allow_tf32})
    np.savez(tmp_path / "job.npz", image=np.zeros(3))
    asked, answer = tmp_path / "asked", tmp_path / "answer"
    question = {"arrays": str(tmp_path / "job.npz"), "kind": kind}
    asked.write_text(json.dumps({**question, "precision": precision}))
    module.main(str(asked), str(answer))
    assert json.loads(answer.read_text()) == {"is_rough": is_rough}


def test_a_job_of_another_kind_is_not_timed(tmp_path, monkeypatch):
    ours = {"terms": terms(), "job": {}}
    monkeypatch.setattr(runner, "run", lambda spec, folder: ours)
    answers = {"terms": terms(tv=0.1), "torch": "2"}
    monkeypatch.setattr(runner, "ask", lambda *given: answers)
    rest = {"seconds": 1.0, "turns": 1, "whole": False, "tell": str}
    small = job(tmp_path)
    found = peer.compare(small, FACTS, runner.Command(()), tmp_path, **rest)
    assert "not the same job" in found["failed"]
    assert "ours" not in found
    tpu = FACTS | {"platform": "tpu"}
    found = peer.compare(small, tpu, runner.Command(()), tmp_path, **rest)
    assert "does not run on tpu" in found["failed"]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="this Python has torch"
)
def test_without_torch_the_request_is_refused():
    with pytest.raises(RequestError, match="--peer_python=PATH"):
        peer.command("")
    with pytest.raises(RequestError, match="has no torch"):
        peer.command(sys.executable)


@has_torch
@pytest.mark.parametrize("workload", ["nst-512-adam-500/v1", "nst-512-plain-300/v1"])
def test_the_peer_does_the_same_job(tmp_path, workload):
    """Its terms, and its last loss after the same updates, are ours."""
    small = job(tmp_path, workload=workload)
    packed = runner.run(Spec("pack", small.arguments, folder=str(tmp_path)), tmp_path)
    command = peer.command("")
    question = {
        "arrays": str(tmp_path / "job.npz"),
        "job": packed["job"],
        "device": "cpu",
        "precision": "float32",
        "seconds": 0.1,
        "variant": "eager channels_last",
    }

    def ask(kind, **more):
        return runner.ask(command, {**question, "kind": kind, **more}, tmp_path)

    assert peer.difference(packed["terms"], ask("terms")["terms"]) < peer.TOLERANCE
    ours = runner.run(Spec("measure", small.arguments, 0.1, whole=True), tmp_path)
    theirs = ask("whole")
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-3)
    assert [row[0] for row in theirs["curve"]] == [1, 2, 3]
    assert len(ask("measure")["step_s"]) >= 5
    assert ask("measure", precision="mixed")["step_s"]
