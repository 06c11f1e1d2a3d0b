"""What a person sees and can do while a run goes on."""

import os
import sys
import time

import pytest

from nst_jax import progress


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (300, 7, 10),  # no multiple of 7 is one of 30 but 210
        (10, 1, 9),  # the first one compiled
        (3, 1, 2),
        (1000, 400, 2),
        (7, 7, 0),
    ],
)
def test_a_line_for_each_tenth(steps, every, expected, capsys):
    watch = progress.watch(steps, quiet=False)
    for step in [*range(0, steps, every), steps]:
        watch.show(step, float("nan") if step == 0 else 1.5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "compiling ..."
    assert lines[1].startswith("compiled in")
    assert len(lines[2:]) == expected
    if expected:
        assert lines[-1].startswith(f"step {steps}/{steps}  loss 1.5")


def test_the_bar_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    watch = progress.watch(40, quiet=False)
    watch.show(0, float("nan"))
    for step in (1, 20, 40):
        watch.show(step, 2.5)
    watch.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert "compiling" in said.err
    assert "nan" not in said.err


def test_quiet_is_silent(capsys):
    watch = progress.watch(40, quiet=True)
    watch.show(10, 1.0)
    watch.close()
    assert capsys.readouterr() == ("", "")


def test_the_pace_grows_to_a_second_and_stops_where_asked(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    allowed = progress.pace(lambda step: progress.until(step, 50))
    step, lengths = 0, []
    while step < 130:
        length = allowed(step)
        lengths.append(length)
        step += length
        now[0] += length / 10  # 10 steps a second
    assert lengths[:6] == [1, 2, 4, 8, 10, 10]
    assert max(lengths) == 10
    assert {50, 100} <= {sum(lengths[:index]) for index in range(len(lengths))}


def test_lines_that_nobody_reads_are_no_fault(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        progress.say("one")
        progress.say("two")
        stream.flush()
