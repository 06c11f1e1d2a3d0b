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
        limits = budget.Limits(seconds, 100.0, works, [1] * len(works))
        made = budget.budget(progress.pace(lambda step: 10**9), limits)
        step, done = 0, []
        for scale, count in enumerate(steps):
            first = step
            if not made.began(scale):
                break
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
    done, spent = world.run([10_000, 10_000], [1, 4], seconds)
    assert spent == pytest.approx(seconds, rel=0.05)
    assert spent <= seconds
    # Each scale has the part that its work is of the whole.
    share = done[0] * 0.01 / (done[0] * 0.01 + done[1] * 0.04)
    assert share == pytest.approx(0.2, abs=0.05)


def test_time_that_is_enough_changes_nothing(monkeypatch):
    world = World(monkeypatch, [1.0, 1.0], [0.01, 0.04])
    assert world.run([100, 100], [1, 4], 60.0)[0] == [100, 100]
    world = World(monkeypatch, [1.0, 1.0], [0.01, 0.04])
    assert world.run([100, 100], [1, 4], 0.0)[0] == [100, 100]


def test_what_a_scale_leaves_serves_the_next(monkeypatch):
    world = World(monkeypatch, [1.0, 1.0], [0.001, 0.04])
    done, spent = world.run([100, 10_000], [1, 4], 20.0)
    assert done[0] == 100
    assert spent == pytest.approx(20, rel=0.05)


def test_too_little_time_takes_one_step_and_prepares_no_other_scale(monkeypatch):
    world = World(monkeypatch, [5.0, 5.0], [0.01, 0.04])
    done, spent = world.run([100, 100], [1, 4], 2.0)
    assert done == [1]
    assert spent == pytest.approx(5.01)


def test_a_scale_that_cannot_come_to_its_first_step_is_not_begun(monkeypatch):
    world = World(monkeypatch, [5.0, 10.0], [0.01, 0.04])
    done, spent = world.run([10_000, 10_000], [1, 4], 14.0)
    assert len(done) == 1
    # All the time is that of the first one then.
    assert spent == pytest.approx(13.6, abs=0.1)
    world = World(monkeypatch, [5.0, 10.0], [0.01, 0.04])
    done, spent = world.run([10_000, 10_000], [1, 4], 25.0)
    assert len(done) == 2
    assert min(done) > 10
    assert spent == pytest.approx(24.2, abs=0.1)


def test_what_takes_longer_than_expected_ends_there(monkeypatch):
    world = World(monkeypatch, [1.0, 60.0], [0.01, 0.04])
    done, spent = world.run([100, 100], [1, 4], 20.0)
    assert done == [100, 0]
    assert spent == pytest.approx(62, abs=0.1)  # what has begun is not broken off


def test_a_run_of_no_limit_begins_every_scale():
    made = budget.budget(lambda step: 7, budget.Limits(0.0, -1e9, [1, 4], [1, 1]))
    assert made.began(0)
    assert made.began(1)
    assert made.pace(3) == 7


def test_the_steps_of_a_scale_are_those_of_the_run():
    found = budget.limits(3.0, 1.0, [(2, 3), (4, 6), (8, 9)], 10, (5, 7))
    assert found == (3.0, 1.0, [6, 24, 72], [5, 7, 10])
