"""One picture on several devices and processes: the same as on one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_jax import devices, memory, mesh, tiles, vgg
from nst_jax.config import (
    Config,
    ControlConfig,
    MemoryConfig,
    ObjectiveConfig,
    OptimizerConfig,
    OutputConfig,
    SpreadConfig,
)
from nst_jax.errors import RequestError

HERE = Path(__file__).parent
CPU = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def told():
    """What eight devices came to, in a process that has them."""
    env = {**os.environ, **CPU, "JAX_NUM_CPU_DEVICES": "8"}
    program = [sys.executable, str(HERE / "on_devices.py")]
    done = subprocess.run(
        program, env=env, capture_output=True, text=True, timeout=280, cwd=HERE.parent
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_loss_and_gradient_are_those_of_one_device(told):
    assert told["devices"] == 8
    for case in told["cases"]:
        assert case["loss"] < 1e-5, case
        assert case["slope"] < 1e-5, case


def test_windows_are_uneven_and_some_devices_idle(told):
    rows, copies = told["cases"]
    assert [case["devices"] for case in (rows, copies)] == [8, 4]
    # 41 rows in shares of 6: the eighth device has none.
    assert rows["share"] == 6
    assert 7 * rows["share"] > 41
    # Several stages, each of them shared out.
    assert len(rows["windows"]) > 1
    assert not any(number % 8 for number in rows["windows"])
    assert copies["share"] == 0
    assert any(number % 4 for number in copies["windows"])


def test_devices_that_hold_rows_never_hold_the_whole(told):
    """Their neighbours send what lies around; nothing is gathered."""
    for case in told["cases"]:
        assert case["gathered"] == [], case
        assert case["has_whole"] == (case["share"] == 0), case


def test_a_run_over_two_scales_ends_where_that_of_one_device_does(told):
    assert told["run"]["loss"] < 1e-5
    assert told["run"]["image"] < 1e-5


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_shares_own_every_position_once_and_see_it_well(count):
    for length in range(8, 90, 3):
        for each in (1, 2, 3):
            share = tiles.share(length, count, 4)
            axis = tiles.shared(length, each, 4, 8, count, share)
            assert axis.number == count * each
            assert axis.edges[0] == 0
            assert axis.edges[-1] == length
            strip = mesh.strip(axis, tiles.Shares(count, share), 1)
            for index, start in enumerate(axis.starts):
                low, high = axis.edges[index : index + 2]
                device = index // each
                assert low <= high
                assert start % 4 == 0
                assert (axis.window - length) % 4 == 0
                if low == high:
                    continue
                assert share * device <= low
                assert high <= share * (device + 1)
                assert start == 0 or low - start >= 8
                assert start + axis.window in range(high + 8, length + 1) or (
                    start + axis.window == length
                )
                first = strip.firsts[device]
                assert first <= start
                assert start + axis.window <= first + strip.length
                assert first >= share * device - strip.above
                assert first + strip.length <= share * (device + 1) + strip.below


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"spread": SpreadConfig(devices="2"), "memory": MemoryConfig(tile="none")},
            "--tile=none",
        ),
        (
            {
                "spread": SpreadConfig(devices="all"),
                "memory": MemoryConfig(rematerialize=True),
            },
            "--rematerialize",
        ),
        (
            {
                "spread": SpreadConfig(devices="2", spread="rows"),
                "control": ControlConfig(wrap="y"),
            },
            "--wrap=y",
        ),
        (
            {
                "spread": SpreadConfig(devices="2", spread="rows"),
                "optimizer": OptimizerConfig(basis="waves"),
            },
            "--basis=waves",
        ),
        (
            {
                "spread": SpreadConfig(devices="2", spread="rows"),
                "objective": ObjectiveConfig(tv_weight=1.0, tv_loss="nine_point"),
            },
            "--tv_loss=nine_point",
        ),
        (
            {
                "spread": SpreadConfig(devices="2"),
                "output": OutputConfig(device="gpu:1"),
            },
            "gpu:1",
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused(settings, words):
    with pytest.raises(RequestError, match=words):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"devices": "0"}, "--devices must be"),
        ({"coordinator": "here"}, "HOST:PORT"),
        ({"coordinator": "a:1", "processes": 2, "process": 2}, "got 2 of 2"),
        ({"coordinator": "a:1", "processes": 2, "distributed": True}, "leave one out"),
        ({"processes": 2}, "go with --coordinator"),
    ],
)
def test_processes_are_named_in_full(settings, words):
    with pytest.raises(RequestError, match=words):
        SpreadConfig(**settings)


def test_rows_where_copies_do_not_fit(monkeypatch):
    monkeypatch.setattr(devices, "several", lambda asked: (None,) * 4)
    monkeypatch.setattr(devices, "sharing", lambda asked: 1)

    def rows(limit, **settings):
        config = Config(
            memory=MemoryConfig(memory_limit=limit),
            spread=SpreadConfig(devices="4"),
            optimizer=OptimizerConfig(optimizer="adam"),
            **settings,
        )
        return memory._shares((2000, 1504), config, vgg.Forward()).rows

    assert rows(60.0) == 0
    # In whole positions of the deepest layer, so that the last device has fewer.
    assert rows(1.0) == 512
    assert rows(1.0, control=ControlConfig(wrap="y")) == 0


def test_more_devices_than_there_are():
    with pytest.raises(RequestError, match="at most the 1 of kind cpu"):
        devices.several("3")
    assert devices.several("auto") == ()
    assert devices.several("1") == ()


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def command(folder, *flags):
    examples = HERE.parent / "examples"
    return [
        *(sys.executable, "-m", "nst_jax.run", "--device=cpu", "--weights=random"),
        f"--content={examples / 'content.jpg'}",
        f"--style={examples / 'style.jpg'}",
        *(f"--output={folder / 'out.png'}", "--size=48", "--scales=none"),
        *("--content_layers=relu1_1", "--style_layers=relu1_1"),
        *("--optimizer=lbfgs", "--history=3", "--steps=4", "--spread=rows"),
        "--tile=32",
        *(f"--metrics={folder / 'metrics.csv'}", *flags),
    ]


def test_two_processes_make_one_picture(tmp_path):
    """Process 0 writes and talks; the rows are gathered from both."""
    there = f"--coordinator=127.0.0.1:{port()}"
    processes = [
        subprocess.Popen(
            command(tmp_path, there, "--processes=2", f"--process={index}"),
            env={**os.environ, **CPU},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        for index in range(2)
    ]
    told = [each.communicate(timeout=250) for each in processes]
    assert [each.returncode for each in processes] == [0, 0], told
    assert told[0][0].startswith("2 devices of 2 processes, each CPU")
    assert told[1][0] == ""
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (48, 36)
        assert len(picture.getcolors(48 * 36)) > 100
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "0", "4"]
    totals = [float(row.split(",")[2]) for row in rows[1:]]
    assert np.isfinite(totals).all()
    assert totals[1] < totals[0]


def test_processes_that_never_come(tmp_path):
    done = subprocess.run(
        command(
            tmp_path,
            *(f"--coordinator=127.0.0.1:{port()}", "--processes=2", "--process=0"),
            "--connect_timeout=1",
        ),
        env={**os.environ, **CPU},
        capture_output=True,
        text=True,
        timeout=200,
        cwd=HERE.parent,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "2 processes must meet at --coordinator=127.0.0.1:" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
