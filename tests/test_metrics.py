"""Rows of metrics on their way to a file, on disks that fail."""

import os
from pathlib import Path

import pytest

from nst_jax import metrics

ROWS = [{"step": str(step), "total": f"{step}.5"} for step in range(4)]


def test_rows_are_there_at_once_and_may_be_taken_back(tmp_path):
    path = tmp_path / "m.csv"
    with metrics.table(path, pytest.fail, overwrite=False) as lines:
        assert not path.exists()
        lines.add(ROWS[0])
        assert path.read_text() == "step,total\n0,0.5\n"
        lines.add(ROWS[1])
        lines.back(ROWS[:1])
        assert path.read_text() == "step,total\n0,0.5\n"
        lines.add(ROWS[2])
    assert path.read_text() == "step,total\n0,0.5\n2,2.5\n"
    with (
        pytest.raises(FileExistsError),
        metrics.table(path, pytest.fail, overwrite=False) as lines,
    ):
        lines.add(ROWS[0])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a file of Linux")
def test_a_full_disk_ends_the_rows_and_not_the_run():
    told = []
    with metrics.table(Path("/dev/full"), told.append, overwrite=True) as lines:
        lines.add(ROWS[0])
        lines.add(ROWS[1])
        lines.back(ROWS)
    (error,) = told
    assert "No space left" in str(error)


class Small:
    """A file on a disk with so much room; what fits of a row is written."""

    def __init__(self, room):
        self.data, self.room = b"", room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def tell(self):
        return len(self.data)

    def truncate(self, end):
        self.data = self.data[:end]

    def write(self, data):
        part = data[: self.room - len(self.data)]
        self.data += part
        return len(part)


def test_half_a_row_is_taken_back(monkeypatch):
    file, told = Small(20), []
    monkeypatch.setattr(Path, "open", lambda *_, **__: file)
    with metrics.table(Path("m.csv"), told.append, overwrite=True) as lines:
        for row in ROWS:
            lines.add(row)
    assert file.data == b"step,total\n0,0.5\n"
    assert len(told) == 1


def test_a_folder_that_is_gone_is_told_of(tmp_path):
    told = []
    with metrics.table(tmp_path / "no" / "m.csv", told.append, overwrite=True) as lines:
        lines.add(ROWS[0])
        lines.add(ROWS[1])
        lines.back(ROWS)
    assert len(told) == 1
