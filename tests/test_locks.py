"""Locks of folders: for one process at a time, and none after a kill."""

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from nst_jax import claim, disk, locks, record
from nst_jax.config import OutputConfig

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")

HOLD = """
import sys, time
from pathlib import Path
from nst_jax import locks
with locks.held(Path(sys.argv[1])) as is_ours:
    print(is_ours, flush=True)
    time.sleep(60)
"""


def test_only_one_has_it_and_nothing_is_left(tmp_path):
    with locks.held(tmp_path) as first:
        assert first
        with locks.held(tmp_path) as second:
            assert not second
        with locks.held(tmp_path) as still:
            assert not still  # who had to go did not take it along
    assert os.listdir(tmp_path) == []
    with locks.held(tmp_path) as again:
        assert again


def test_a_kill_lets_go_of_it(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        with locks.held(tmp_path) as is_ours:
            assert not is_ours
        process.kill()
        process.wait()
    assert os.listdir(tmp_path) == [locks.NAME]
    with locks.held(tmp_path) as is_ours:
        assert is_ours
    assert os.listdir(tmp_path) == []


def test_never_two_at_once(tmp_path):
    """Each counts up what it read before: were two inside, counts would be lost."""
    count = tmp_path / "count"
    count.write_text("0")

    def work():
        for _ in range(20):
            with locks.held(tmp_path, patience=60) as is_ours:
                assert is_ours
                number = int(count.read_text())
                time.sleep(0.0005)
                count.write_text(str(number + 1))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "100"


@posix
def test_what_lies_in_its_place_is_neither_followed_nor_waited_for(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / locks.NAME).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"), locks.held(tmp_path):
        pass
    assert not elsewhere.exists()
    (tmp_path / locks.NAME).unlink()
    (tmp_path / locks.NAME).mkdir()
    with pytest.raises(OSError, match="directory"), locks.held(tmp_path):
        pass
    (tmp_path / locks.NAME).rmdir()
    os.mkfifo(tmp_path / locks.NAME)
    with locks.held(tmp_path) as is_ours:
        assert is_ours


@posix
def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch):
    def flock(number, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with pytest.raises(OSError, match="No locks"), locks.held(tmp_path):
        pass


def test_of_two_results_at_once_all_files_are_of_one(tmp_path, monkeypatch):
    files = record.Files(
        *(tmp_path / f"out.{suffix}" for suffix in ("png", "flags", "json")),
        *(None, None, None, 0, 1),
    )
    whole = disk.write

    def slowly(path, data, **options):
        whole(path, data, **options)
        time.sleep(0.02)

    monkeypatch.setattr(disk, "write", slowly)

    def keep(who):
        record.keep(files, who.encode(), who, who, overwrite=True)

    for _ in range(3):
        threads = [threading.Thread(target=keep, args=(who,)) for who in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({path.read_text() for path in tmp_path.iterdir()}) == 1
    assert len(os.listdir(tmp_path)) == 3


def test_results_may_go_where_the_checkpoints_are(tmp_path):
    with claim.held(OutputConfig(checkpoint=str(tmp_path))), locks.held(tmp_path) as it:
        assert it
