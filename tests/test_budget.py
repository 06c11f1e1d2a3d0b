"""Time shared out among scales: a clock that the test moves."""

import time

import pytest

from nst_jax import budget, progress


class World:
    """A device that takes its time: to set up each scale, and for each step."""

    def __init__(self, monkeypatch, setup, each):
        self.now, self.setup, self.each = 100.0, setup, each
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def run(self, steps, works, seconds):
        """The steps at each scale, and the seconds in all."""
        made = budget.budget(
            progress.pace(lambda step: 10**9), works, seconds, since=100.0
        )
        step, done = 0, []
        for scale, count in enumerate(steps):
            first = step
            made.began(scale)
            self.now += self.setup[scale]
            while step < first + count:
                length = min(made.pace(step), first + count - step)
                if length < 1:
                    break
                self.now += length * self.each[scale]
                step += length
            done.append(step - first)
        return done, self.now - 100.0


@pytest.mark.parametrize("seconds", [10.0, 30.0, 100.0])
def test_a_run_takes_the_time_it_has(monkeypatch, seconds):
    world = World(monkeypatch, [1.0, 1.0], [0.01, 0.04])
    done, spent = world.run([10_000, 10_000], [1.0, 4.0], seconds)
    assert spent == pytest.approx(seconds, rel=0.05)
    assert spent <= seconds
    # Each scale has the part that its work is of the whole.
    share = done[0] * 0.01 / (done[0] * 0.01 + done[1] * 0.04)
    assert share == pytest.approx(0.2, abs=0.05)


def test_time_that_is_enough_changes_nothing(monkeypatch):
    world = World(monkeypatch, [1.0, 1.0], [0.01, 0.04])
    assert world.run([100, 100], [1.0, 4.0], 60.0)[0] == [100, 100]
    world = World(monkeypatch, [1.0, 1.0], [0.01, 0.04])
    assert world.run([100, 100], [1.0, 4.0], 0.0)[0] == [100, 100]


def test_what_a_scale_leaves_serves_the_next(monkeypatch):
    world = World(monkeypatch, [1.0, 1.0], [0.001, 0.04])
    done, spent = world.run([100, 10_000], [1.0, 4.0], 20.0)
    assert done[0] == 100
    assert spent == pytest.approx(20, rel=0.05)


def test_too_little_time_takes_one_step_and_ends(monkeypatch):
    world = World(monkeypatch, [5.0, 5.0], [0.01, 0.04])
    assert world.run([100, 100], [1.0, 4.0], 2.0)[0] == [1, 0]


def test_slow_steps_end_by_half_a_step(monkeypatch):
    world = World(monkeypatch, [1.0], [3.0])
    _, spent = world.run([100], [1.0], 60.0)
    assert abs(spent - 59) <= 1.6
