"""Several processes that must decide alike: threads stand for them here."""

import contextlib
import ctypes
import functools
import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax import (
    claim,
    course,
    devices,
    hosts,
    leaves,
    memory,
    prepare,
    pretrained,
    resume,
    run,
    signals,
    solve,
    stages,
)
from nst_jax.config import Config, MemoryConfig, SpreadConfig
from nst_jax.errors import RequestError

load = functools.cache(pretrained.load)


class Left(Exception):
    """Stands for the end of a process without its leave."""


class Company:
    """Two threads that take themselves for two processes."""

    def __init__(self):
        self.here = threading.local()
        self.meeting = threading.Barrier(2, timeout=120)
        self.values = {}
        self.left = []

    def index(self):
        return getattr(self.here, "index", 0)

    def process_allgather(self, value):
        self.values[self.index()] = np.asarray(value)
        self.meeting.wait()
        found = np.stack([self.values[index] for index in range(2)])
        self.meeting.wait()
        return found

    def broadcast_one_to_all(self, value):
        return self.process_allgather(value)[0]

    def leave(self, status):
        self.left.append((self.index(), status))
        self.meeting.abort()
        raise Left

    def statuses(self, work):
        found = [None, None]

        def one(index):
            self.here.index = index
            try:
                found[index] = work(index)
            except Left:
                found[index] = "left"

        threads = [threading.Thread(target=one, args=(index,)) for index in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return found


@pytest.fixture
def company(monkeypatch):
    both = Company()
    monkeypatch.setattr(hosts, "multihost_utils", both)
    monkeypatch.setattr(hosts, "are_several", lambda: True)
    monkeypatch.setattr(hosts, "writes", lambda: both.index() == 0)
    monkeypatch.setattr(hosts, "connect", lambda settings: None)
    monkeypatch.setattr(hosts, "leave", both.leave)
    monkeypatch.setattr(pretrained, "load", load)
    return both


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(pixels[::-1]).save("other.png")

    def command(index, *flags):
        return [
            *("--content=photo.png", "--style=other.png", "--output=out.png"),
            *("--size=32", "--scales=none", "--steps=2", "--weights=random"),
            *("--content_layers=relu1_1", "--style_layers=relu1_1", "--device=cpu"),
            *("--coordinator=127.0.0.1:1", "--processes=2", f"--process={index}"),
            *flags,
        ]

    return command


def both(company, job, *flags, odd=()):
    return company.statuses(
        lambda index: run.main(job(index, *flags, *(odd if index else ())))
    )


def test_two_that_are_alike_make_one_picture(company, job, capsys):
    assert both(company, job, "--checkpoint=ck", "--metrics=m.csv") == [0, 0]
    assert company.left == []
    assert capsys.readouterr().out.count("out.png") == 1


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        ("--spread=rows", "spread"),
        ("--tile=16", "tile"),
        ("--memory_limit=9", "memory_limit"),
        ("--metrics=m.csv", "metrics"),
        ("--checkpoint_every=1", "checkpoint_every"),
        ("--content=other.png", "the file of content"),
    ],
)
def test_what_decides_the_program_must_be_alike(company, job, capsys, odd, name):
    assert both(company, job, odd=[odd]) == [2, 2]
    assert company.left == []
    assert f"but {name} of process 1 is not" in capsys.readouterr().err
    assert not os.path.exists("out.png")


def test_versions_must_be_alike(company, job, capsys, monkeypatch):
    monkeypatch.setattr(
        "nst_jax.words.packages", lambda: {"jax": f"0.{company.index()}"}
    )
    assert both(company, job) == [2, 2]
    assert "but jax as it is here of process 1" in capsys.readouterr().err


def test_all_count_with_the_memory_of_the_smallest(company, job, monkeypatch):
    had = []

    def limit(config):
        had.append(whole(config))
        return had[-1]

    whole = memory.limit
    monkeypatch.setattr(memory, "limit", limit)
    monkeypatch.setattr(devices, "memory", lambda: 2 ** (33 + company.index()))
    assert both(company, job) == [0, 0]
    assert set(had) == {int(0.9 * 2**33)}


@pytest.mark.parametrize("where", ["claim", "folder", "device", "memory"])
def test_what_one_refuses_ends_all_in_order(company, job, monkeypatch, where, capsys):
    def refuses(index, whole):
        def work(*given, **named):
            if company.index() == index:
                raise RequestError("this will not do")
            return whole(*given, **named)

        return work

    room, name, index = {
        "claim": (claim, "held", 0),
        "folder": (resume, "first", 0),
        "device": (devices, "pick", 1),
        "memory": (memory, "fitted", 1),
    }[where]
    monkeypatch.setattr(room, name, refuses(index, getattr(room, name)))
    assert both(company, job, "--checkpoint=ck") == [2, 2]
    assert company.left == []
    said = capsys.readouterr().err
    assert "this will not do" in said
    assert f"process {index} refused it" in said


def test_a_plan_is_told_once(company, job, capsys):
    assert both(company, job, "--dry_run") == [0, 0]
    once = capsys.readouterr().out
    assert len(once.splitlines()) == len(set(once.splitlines())) > 3


def test_a_divergence_that_all_see_ends_all_in_order(company, job, capsys):
    wild = ("--learning_rate=1e30", "--box=none", "--optimizer=adam")
    assert both(company, job, *wild, "--max_recoveries=0") == [1, 1]
    assert company.left == []
    assert "exploded after step 0" in capsys.readouterr().err


def test_a_fault_of_one_is_told_and_ends_all(company, job, capsys, monkeypatch):
    whole = course.frame

    def frame(now, pictures, config):
        if company.index() == 1 and now.step:
            raise ValueError("a broken disk")
        return whole(now, pictures, config)

    monkeypatch.setattr(course, "frame", frame)
    assert both(company, job, "--save_every=1") == ["left", "left"]
    assert (1, 1) in company.left
    assert "a broken disk" in capsys.readouterr().err


def test_a_checkpoint_that_one_cannot_write_all_try_again(company, job, monkeypatch):
    asked, write = [[], []], resume.checkpoint.write

    def named(state):
        asked[company.index()].append(int(state.step))
        return whole(state)

    def fails(folder, step, found):
        if step:
            raise OSError(28, "No space left on device")
        write(folder, step, found)

    whole = leaves.named
    monkeypatch.setattr(leaves, "named", named)
    monkeypatch.setattr(resume.checkpoint, "write", fails)
    # After the first step it is to end: what failed there is due once more.
    monkeypatch.setattr(signals, "interruptible", after_the_start)
    flags = ("--checkpoint=ck", "--checkpoint_every=1")
    assert both(company, job, *flags) == [143, 143]
    assert asked == [[1, 1], [1, 1]]


@contextlib.contextmanager
def after_the_start():
    numbers = iter([0])
    yield lambda: next(numbers, signal.SIGTERM)


def test_sigterm_is_heard_after_the_processes_have_met(monkeypatch):
    """JAX puts a handler of C's in place of Python's."""

    def meets(*given, **named):
        ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))  # SIG_IGN

    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    monkeypatch.setattr(jax.distributed, "initialize", meets)
    try:
        hosts._meet(SpreadConfig(coordinator="127.0.0.1:1", processes=1))
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_state_comes_back_to_the_host_and_is_copied_from_there():
    """So that no device need hold the whole of what several share."""
    image = jnp.arange(6.0).reshape(2, 1, 3)
    before = solve.State(image, None, jnp.int32(4), image, None, None)
    found = leaves.restored(before, leaves.named(before))
    assert all(isinstance(each, np.ndarray) for each in jax.tree.leaves(found))
    there = stages.placed(found._replace(image=np.array(found.image)), None)
    assert all(isinstance(each, jax.Array) for each in jax.tree.leaves(there))
    assert there.image.tolist() == image.tolist()


def test_rows_where_the_styles_leave_no_room_for_copies(monkeypatch):
    monkeypatch.setattr(devices, "several", lambda asked: (None,) * 4)
    monkeypatch.setattr(devices, "sharing", lambda asked: 1)
    shape, style = (1000, 752), (2600, 2600)

    def config(gib, spread="auto"):
        return Config(
            memory=MemoryConfig(memory_limit=gib, tile="256"),
            spread=SpreadConfig(devices="4", spread=spread),
        )

    def need(spread, *styles):
        settings = config(9, spread)
        found = memory.need(shape, styles, settings, prepare.forward(settings))
        return found.total / 2**30

    least = max(need("copies"), need("rows", style))
    assert least < need("copies", style)
    asked = config((least + need("copies", style)) / 2)
    found = memory.fitted(shape, [style], asked, prepare.forward(asked))
    assert found.spread.spread == "rows"
    assert found.optimizer.history == asked.optimizer.history
