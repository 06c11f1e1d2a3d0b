"""Ctrl-C and SIGTERM: what is kept, and how soon a process ends."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nst_jax import signals

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@posix
def test_a_signal_is_remembered_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals.interruptible() as stopped:
        assert stopped() == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped() == signal.SIGTERM
    assert stopped() == signal.SIGTERM
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert signal.set_wakeup_fd(-1) == -1
    with signals.interruptible() as stopped:
        assert stopped() == 0


def test_threads_other_than_the_first_hear_no_signals():
    heard = []

    def work():
        with signals.interruptible() as stopped:
            heard.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [0]


# A long call that never asks Python for signals, as those of a compiler are.
BUSY = """
import hashlib
from nst_jax import signals
with signals.interruptible():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 60_000_000)
"""


@posix
@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGINT, signal.SIGTERM, 143),
        (signal.SIGTERM, signal.SIGINT, 130),
    ],
)
def test_the_second_signal_ends_the_process_inside_a_long_call(first, second, status):
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.send_signal(first)
        # The first is answered at once, though the call goes on.
        assert b"once more" in process.stderr.readline()
        assert process.poll() is None
        started = time.monotonic()
        process.send_signal(second)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.returncode == status
        assert time.monotonic() - started < 5


BROKEN_OFF = """
import hashlib
from nst_jax import signals
signals.quit_on_signals()
with signals.interruptible():
    with signals.breakable(lambda number: print("kept", number, flush=True)):
        print("busy", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 60_000_000)
"""


def ended_by(code, number, within):
    """What a program prints, and how it ends, that gets a signal in a long call."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "busy\n"
        started = time.monotonic()
        process.send_signal(number)
        try:
            said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert time.monotonic() - started < within
    return process.returncode, *said


@posix
def test_what_may_be_broken_off_keeps_what_there_is_and_ends():
    status, out, err = ended_by(BROKEN_OFF, signal.SIGTERM, 5)
    assert (status, out) == (143, "kept 15\n")
    assert err == (
        "nst-jax: stopping after this step, with the picture; once more: at once\n"
    )


@posix
def test_what_fails_while_it_keeps_ends_as_well():
    code = BROKEN_OFF.replace('print("kept", number, flush=True)', "1 / 0")
    status, _, err = ended_by(code, signal.SIGINT, 5)
    assert status == 130
    assert "ZeroDivisionError" not in err


@posix
def test_what_ends_by_itself_is_not_broken_off(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.05)
    monkeypatch.setattr(signals, "_HEARING", ["a program"])
    with signals.interruptible() as stopped:
        with signals.breakable(lambda number: os._exit(77)):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        assert stopped() == signal.SIGINT


@posix
def test_in_a_notebook_nothing_is_broken_off(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.05)
    with signals.interruptible(), signals.breakable(lambda number: os._exit(77)):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)


@posix
def test_a_signal_ends_nothing_that_begins_after_it(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.2)
    monkeypatch.setattr(signals, "_HEARING", ["a program"])
    with signals.interruptible() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped() == signal.SIGINT
    with signals.interruptible(), signals.breakable(lambda number: os._exit(77)):
        time.sleep(0.5)


QUITS = """
import hashlib
from nst_jax import signals
signals.quit_on_signals()
print("busy", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 60_000_000)
"""


@posix
def test_with_nothing_to_keep_it_ends_at_once_inside_a_long_call():
    status, _, err = ended_by(QUITS, signal.SIGTERM, 3)
    assert (status, err) == (143, "nst-jax: interrupted (SIGTERM)\n")


@posix
def test_others_that_wait_for_signals_are_left_alone():
    code = (
        QUITS.partition("print")[0]
        + """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("busy", flush=True)
    time.sleep(20)
except KeyboardInterrupt:
    time.sleep(0.2)
    print("mine")
"""
    )
    assert ended_by(code, signal.SIGINT, 5) == (0, "mine\n", "")
