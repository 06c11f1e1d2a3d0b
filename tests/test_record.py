"""The files of a run: planned, checked, and kept wherever there is room."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

from nst_jax import disk, record
from nst_jax.config import Config, InputConfig, OutputConfig, SolveConfig
from nst_jax.errors import RequestError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A place to work in, and another one for temporary files."""
    for name in ("here", "far", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    return tmp_path


def job(steps=300, content="photo.png", **output):
    output = {"output": "out.png", **output}
    return Config(
        inputs=InputConfig(content=content, style=("painting.png",)),
        solve=SolveConfig(steps=steps),
        output=OutputConfig(**output),
    )


def checked(config, sources=()):
    record.check(record.plan(config), config, sources)


def contents(path):
    return {name: (path / name).read_bytes() for name in sorted(os.listdir(path))}


def keep(output="../far/out.png", overwrite=False):
    files = record.plan(job(output=output))
    return record.keep(files, b"picture", "caf\udce9", "{}", overwrite=overwrite)


# Before


def test_the_check_costs_the_same_for_any_number_of_pictures(monkeypatch):
    probed = []
    whole = disk.probe
    monkeypatch.setattr(disk, "probe", lambda path: (probed.append(path), whole(path)))
    config = job(steps=10**9, save_every=1)
    checked(config)
    assert len(probed) <= 4
    assert os.listdir() == []
    assert record.plan(config).numbered(123) == Path("out_000123.png")


def test_numbered_pictures_are_those_of_the_way():
    files = record.plan(job(steps=100, save_every=25))
    kept = [step for step in range(101) if files.numbered(step)]
    assert kept == [25, 50, 75]
    assert record.plan(job()).numbered(25) is None


@pytest.mark.parametrize("name", ["out_000050.png", "out_1000000.png"])
def test_a_numbered_picture_that_is_there_is_not_replaced(name):
    config = {"steps": 2 * 10**6, "save_every": 50}
    Path(name).touch()
    with pytest.raises(RequestError, match=f"'{name}' exists already"):
        checked(job(**config))
    checked(job(**config, overwrite=True))
    Path(name).unlink()
    Path(name).mkdir()
    with pytest.raises(RequestError, match="is a folder"):
        checked(job(**config, overwrite=True))


def test_names_that_no_numbered_picture_has_do_not_matter():
    for name in ("out_000049.png", "out_50.png", "out_0000050.png", "out_000050.jpg"):
        Path(name).touch()
    checked(job(save_every=50))


def test_a_numbered_picture_never_replaces_what_is_read():
    Path("out_000050.png").touch()
    Path("link.png").symlink_to("out_000050.png")
    for content in ("out_000050.png", "link.png"):
        config = job(content=content, save_every=50, overwrite=True)
        with pytest.raises(RequestError, match="--content, as --save_every counts"):
            checked(config)


def test_names_too_long_are_refused_before_the_work():
    longest = "x" * 251 + ".png"  # its settings would be x.flags
    with pytest.raises(RequestError, match="cannot be written"):
        checked(job(output=longest))
    with pytest.raises(RequestError, match="cannot be written"):
        checked(job(output="x" * 245 + ".png", save_every=5))


def test_one_file_may_have_many_names(folder):
    Path("photo.png").touch()
    Path("link.png").symlink_to("photo.png")
    for output in ("../here/photo.png", "link.png", str(folder / "here/photo.png")):
        with pytest.raises(RequestError, match="over the file of --content"):
            checked(job(output=output, overwrite=True))
    with pytest.raises(RequestError, match="over another file of this run"):
        checked(job(metrics="../here/out.png"))
    with pytest.raises(RequestError, match="over a file that settings come from"):
        checked(job(overwrite=True), ("../here/out.flags",))


# At the end


def test_the_pair_is_kept_where_it_was_planned(folder):
    kept = keep()
    far = Path("../far")
    names = [far / f"out.{each}" for each in ("png", "flags", "json")]
    assert kept == (*names, "")
    pair = {"out.flags": b"caf\xe9", "out.json": b"{}", "out.png": b"picture"}
    assert contents(folder / "far") == pair
    assert contents(folder / "here") == contents(folder / "temporary") == {}


def test_what_took_a_name_meanwhile_stays(folder):
    (folder / "far/out.png").write_bytes(b"mine")
    (folder / "far/out-1.png").write_bytes(b"mine too")
    kept = keep()
    assert kept.picture == Path("../far/out-2.png")
    assert kept.flags == Path("../far/out-2.flags")
    assert "and stays" in kept.trouble
    assert contents(folder / "far") == {
        "out-1.png": b"mine too",
        "out-2.flags": b"caf\xe9",
        "out-2.json": b"{}",
        "out-2.png": b"picture",
        "out.png": b"mine",
    }
    keep(overwrite=True)
    assert contents(folder / "far")["out.png"] == b"picture"


def test_what_took_the_name_of_the_settings_stays(folder):
    (folder / "far/out.flags").write_bytes(b"mine")
    kept = keep()
    assert (kept.picture.name, kept.flags.name) == ("out.png", "out-1.flags")
    assert kept.trouble
    assert contents(folder / "far")["out.flags"] == b"mine"


def full(monkeypatch, *folders):
    """Lets disks be full: what is written in those folders fails."""
    whole = Path.open

    def opened(path, mode="r", *rest, **options):
        if "x" in mode and path.parent.resolve() in folders:
            raise OSError(28, "No space left on device")
        return whole(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_sends_it_elsewhere(folder, monkeypatch, overwrite):
    (folder / "here/out.png").write_bytes(b"mine")
    full(monkeypatch, folder / "far")
    kept = keep(overwrite=overwrite)
    assert kept.trouble == (
        "'../far/out.png' could not be written (No space left on device)"
    )
    # What is there was not named: it stays in any case.
    assert contents(folder / "here") == {
        "out-1.flags": b"caf\xe9",
        "out-1.json": b"{}",
        "out-1.png": b"picture",
        "out.png": b"mine",
    }
    full(monkeypatch, folder / "far", folder / "here")
    kept = keep(overwrite=overwrite)
    assert kept.picture == folder / "temporary/out.png"
    assert contents(folder / "far") == {}


def test_nowhere_is_said(folder, monkeypatch):
    full(monkeypatch, *(folder / name for name in ("far", "here", "temporary")))
    with pytest.raises(OSError, match="No space left"):
        keep()
    assert contents(folder / "far") == contents(folder / "here") == {}


# The writer


@pytest.mark.parametrize("links", [True, False])
def test_without_overwrite_nothing_is_replaced(links, monkeypatch):
    if not links:  # as on a memory card

        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse, raising=False)
    disk.write(Path("a"), b"one", overwrite=False)
    with pytest.raises(FileExistsError):
        disk.write(Path("a"), b"two", overwrite=False)
    assert contents(Path()) == {"a": b"one"}
    disk.write(Path("a"), b"two")
    names = [disk.write_free(Path("a"), b"more").name for _ in range(2)]
    assert names == ["a-1", "a-2"]
    assert contents(Path()) == {"a": b"two", "a-1": b"more", "a-2": b"more"}


def test_a_write_that_is_cut_short_leaves_the_old_file(monkeypatch):
    disk.write(Path("a"), b"old")
    for name, overwrite in itertools.product(("fsync", "replace"), (True, False)):
        with monkeypatch.context() as patch:

            def fails(*_, **__):
                raise OSError(5, "Input/output error")

            patch.setattr(os, name, fails)
            if name == "replace" and not overwrite:
                continue
            with pytest.raises(OSError, match="Input/output"):
                disk.write(Path("a"), b"new", overwrite=overwrite)
    assert contents(Path()) == {"a": b"old"}
