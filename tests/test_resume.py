"""Runs that go on: from every checkpoint the same to the byte, or refused."""

import contextlib
import csv
import dataclasses
import errno
import functools
import importlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys

import pytest
from PIL import Image

from nst_jax import (
    checkpoint,
    claim,
    conditions,
    disk,
    ending,
    locks,
    memory,
    pretrained,
    resume,
    run,
    transfer,
)
from nst_jax.config import Config, MemoryConfig

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
load = functools.cache(pretrained.load)
kills = importlib.import_module("kills")

SMALL = (
    *("--size=32", "--scales=24", "--steps=6", "--weights=random", "--device=cpu"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1", "--quiet"),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    kills.pictures(folder)
    Image.new("RGB", (70, 50), "red").save(folder / "red.png")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Random weights are made once, and nobody cuts the power."""
    monkeypatch.setattr(pretrained, "load", load)
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.fixture
def job(pictures, tmp_path, monkeypatch):
    """The command line of a small run of two scales, with its checkpoints."""
    monkeypatch.chdir(tmp_path)
    return [
        f"--content={pictures / 'photo.png'}",
        f"--style={pictures / 'painting.png'}",
        *("--output=out.png", "--metrics=out.csv", "--log_every=4", *SMALL),
        *("--checkpoint=ck", "--checkpoint_every=1", "--resume"),
    ]


class Cut(BaseException):
    """Stands for a kill: nothing catches it on its way out."""


def cut_at(monkeypatch, count):
    """Lets the next run die when so many checkpoints have been written."""
    whole, written = checkpoint.write, []

    def write(folder, step, found):
        whole(folder, step, found)
        written.append(step)
        if len(written) == count:
            raise Cut

    monkeypatch.setattr(checkpoint, "write", write)


def cut(job, monkeypatch, count):
    with monkeypatch.context() as patch:
        cut_at(patch, count)
        with pytest.raises(Cut):
            run.main(job)


def rows(path="out.csv"):
    with open(path, newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def size(path):
    with Image.open(path) as picture:
        return picture.size


def left():
    """What a run leaves, but for its times."""
    return pathlib.Path("out.png").read_bytes(), rows()


def record():
    """What the record tells, but for times and breaks."""
    found = json.loads(pathlib.Path("out.json").read_text())
    for name in ("seconds", "seconds_before", "resumed_after"):
        found.pop(name)
    found["settings"].pop("overwrite")  # what it wrote before the break it may replace
    return found


def refused(capsys, arguments):
    assert run.main(arguments) == 2
    *_, line = capsys.readouterr().err.splitlines()
    return line


BOTH = (3, 7, 10)  # within a scale, at its end, within the next
ONE = "--scales=none"
WAYS = {
    "adam": (BOTH, "--optimizer=adam", "--keep=average"),
    "lbfgs": (BOTH, "--optimizer=lbfgs", "--keep=best"),
    "rmsprop": (
        (4,),
        *(ONE, "--optimizer=rmsprop", "--momentum=0.5", "--schedule=cosine"),
    ),
    "nosearch": (
        (3,),
        *(ONE, "--line_search=none", "--tolerance=0.5", "--tolerance_steps=2"),
    ),
    "wild": (
        (2, 4),
        *(ONE, "--optimizer=sgd", "--learning_rate=1e6", "--max_recoveries=60"),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_from_every_checkpoint_it_goes_on_to_the_same_bytes(job, monkeypatch, way):
    cuts, *flags = WAYS[way]
    job += flags
    assert run.main(job) == 0
    want, told = left(), record()
    assert len(want[1]) >= 2
    for after in cuts:
        shutil.rmtree("ck")
        for name in ("out.png", "out.csv", "out.flags", "out.json"):
            os.unlink(name)
        cut(job, monkeypatch, after)
        assert run.main(job) == 0
        assert left() == want, after
        assert record() == told, after
    assert len(os.listdir("ck")) == 2


def test_a_run_that_is_done_may_be_repeated(job, capsys):
    assert run.main(job) == 0
    want, told = left(), record()
    first = json.loads(pathlib.Path("out.json").read_text())
    assert first["resumed_after"] == []
    assert first["seconds_before"] == 0
    assert run.main(job) == 0
    assert left() == want
    assert record() == told
    again = json.loads(pathlib.Path("out.json").read_text())
    assert again["resumed_after"] == [12]
    assert again["seconds_before"] > 0
    without = [each for each in job if each != "--resume"]
    assert "holds checkpoints of a run" in refused(capsys, without)
    assert run.main([*without, "--overwrite"]) == 0
    assert left() == want


def test_where_no_checkpoint_is_it_starts_anew_and_says_so(job, capsys):
    assert run.main(job) == 0
    assert "no checkpoint to go on from in 'ck': it starts anew" in (
        capsys.readouterr().err
    )
    # What is there is not this run's, as far as anybody knows.
    shutil.rmtree("ck")
    assert "'out.png' exists already" in refused(capsys, job)


def test_what_a_killed_run_has_written_is_its_own(job, monkeypatch, capsys):
    cut(job, monkeypatch, 1)  # before the first step
    pathlib.Path("out.csv").write_text("half a row")
    assert run.main(job) == 0
    assert [row["step"] for row in rows()] == ["0", "4", "6", "8", "12"]
    pathlib.Path("other.csv").write_text("mine")
    assert "'other.csv' exists already" in refused(
        capsys, [*job, "--metrics=other.csv"]
    )


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "one bit": lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
    "header": lambda data: data.replace(b'\\"step\\": 9', b'\\"step\\": 7'),
    "another file": lambda data: b"not a checkpoint at all, but a text",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_of_and_the_one_before_serves(
    job, monkeypatch, capsys, damage
):
    assert run.main(job) == 0
    want = left()
    shutil.rmtree("ck")
    cut([*job, "--overwrite"], monkeypatch, 10)
    last, _ = checkpoint.files(pathlib.Path("ck"))
    data = last.read_bytes()
    changed = DAMAGES[damage](data)
    assert changed != data
    last.write_bytes(changed)
    capsys.readouterr()
    assert run.main(job) == 0
    assert "step-000009.safetensors' cannot be used" in capsys.readouterr().err
    assert left() == want
    for path in checkpoint.files(pathlib.Path("ck")):
        path.write_bytes(b"")
    assert "allow --overwrite to start anew" in refused(capsys, job)
    assert run.main([*job, "--overwrite"]) == 0
    assert left() == want


def test_checkpoints_that_cannot_be_read_are_not_deleted(job, monkeypatch, capsys):
    # What hinders may pass: a share that is away, another version, another program.
    cut(job, monkeypatch, 2)
    capsys.readouterr()
    for path in pathlib.Path("ck").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    assert "allow --overwrite to start anew" in refused(capsys, job)
    after = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    assert before == after
    assert run.main([*job, "--overwrite"]) == 0


def test_a_checkpoint_that_says_nothing_is_damaged(tmp_path):
    save_file = importlib.import_module("safetensors.numpy").save_file
    path = tmp_path / "step-000001.safetensors"
    digest = checkpoint._digest("", {})
    save_file({}, path, {"format": checkpoint.FORMAT, "digest": digest})
    found = checkpoint.find(tmp_path)
    assert found.checkpoint is None
    assert len(found.troubles) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.timeout(60)
def test_what_is_no_file_is_no_checkpoint(tmp_path):
    path = tmp_path / "step-000001.safetensors"
    os.mkfifo(path)
    found = checkpoint.find(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    again = checkpoint.find(tmp_path)
    assert [each.checkpoint for each in (found, again)] == [None, None]
    for each in (found, again):
        assert "cannot be used (it is not a regular file)" in each.troubles[0]


def test_a_full_disk_is_told_of_once_and_the_run_goes_on(job, monkeypatch, capsys):
    whole = disk.write

    def write(path, data, **options):
        if path.parent.name == "ck" and "000004" <= path.stem[-6:] <= "000009":
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(path, data, **options)

    monkeypatch.setattr(disk, "write", write)
    cut(job, monkeypatch, 4 + 1)  # those that fail are not counted
    said = capsys.readouterr().err
    assert said.count("could not be written (No space left on device)") == 1
    assert "after step 4" in said
    names = sorted(path.name for path in checkpoint.files(pathlib.Path("ck")))
    assert names == ["step-000003.safetensors", "step-000010.safetensors"]
    monkeypatch.undo()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_folders_that_will_not_do_are_refused_at_once(job, capsys):
    if os.geteuid() == 0:  # to whom others are open
        assert "cannot be written" in refused(capsys, [*job, "--checkpoint=/proc"])
    pathlib.Path("file").touch()
    assert "must be a folder" in refused(capsys, [*job, "--checkpoint=file"])
    assert "does not exist" in refused(capsys, [*job, "--checkpoint=a/b"])
    needs = [each for each in job if not each.startswith("--checkpoint")]
    assert "needs --checkpoint" in refused(capsys, needs)
    assert "--checkpoint_every must be" in refused(
        capsys, [*job, "--checkpoint_every=1m"]
    )
    assert sorted(os.listdir()) == ["file"]


OTHERS = {
    "--noise_ratio=0.5": "noise_ratio=0.6 then, noise_ratio=0.5 now; give the same",
    "--optimizer=adam": "optimizer=lbfgs then, optimizer=adam now",
    "--steps=7": "go on with --resume=extend",
    "--style=red.png": "style=",
    "--network=vgg16": "weights=",
    "--steps=5 --resume=extend": "needs --steps of at least 6",
    "--size=24 --scales=none --resume=extend": "larger than 32x24",
    "--steps=7 --noise_ratio=0.5 --resume=extend": "noise_ratio=0.6 then",
}


@pytest.fixture(scope="module")
def done(pictures, tmp_path_factory):
    """A run of which one checkpoint is left to go on from."""
    folder = tmp_path_factory.mktemp("done")
    arguments = [
        f"--content={pictures / 'photo.png'}",
        f"--style={pictures / 'painting.png'}",
        *(*SMALL, f"--output={folder}/a.png", f"--checkpoint={folder}/ck"),
    ]
    assert run.main(arguments) == 0
    return folder


@pytest.mark.parametrize("change", OTHERS)
def test_another_run_is_refused_with_the_difference(
    job, done, pictures, capsys, change
):
    shutil.copytree(done / "ck", "ck")
    there = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    changes = change.replace("red.png", f"{pictures}/red.png").split()
    line = refused(capsys, [*job, "--log_every=10", *changes])
    assert OTHERS[change] in line
    now = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    assert now == there
    assert sorted(os.listdir()) == ["ck"]


def test_what_does_not_decide_the_numbers_may_differ(job, done, pictures, capsys):
    shutil.copytree(done / "ck", "ck")
    shutil.copy(pictures / "photo.png", "moved.png")
    job[0] = "--content=moved.png"
    more = ("--log_every=10", "--output=b.jpg", "--metrics=", "--checkpoint_every=9s")
    assert run.main([*job, *more]) == 0
    assert os.path.exists("b.jpg")
    said = capsys.readouterr().err
    assert "bit for bit" not in said


def test_other_versions_go_on_but_not_silently(job, done, capsys, monkeypatch):
    shutil.copytree(done / "ck", "ck")
    whole = resume.identity

    def identity(*arguments):
        found = whole(*arguments)
        return found._replace(made_with={**found.made_with, "jax": "0.9"})

    monkeypatch.setattr(resume, "identity", identity)
    assert run.main([*job, "--log_every=10"]) == 0
    assert "not bit for bit: jax=" in capsys.readouterr().err


def test_small_pictures_of_the_report_travel_along(job, monkeypatch):
    arguments = [*job, "--report=out.html"]
    noted, whole = [], ending.reports.html
    monkeypatch.setattr(
        ending.reports, "html", lambda told: (noted.append(told), whole(told))[1]
    )
    cut(arguments, monkeypatch, 9)
    assert run.main(arguments) == 0
    steps = [step for step, _ in noted[0].between]
    assert steps == sorted(set(steps))
    assert {0, 2, 4, 6, 8, 10} <= {*steps}
    assert noted[0].between[0][1].shape == (18, 24, 3)
    assert {row["step"] for row in noted[0].rows} == {"0", "4", "6", "8", "12"}


def test_other_windows_go_on_but_not_silently(job, done, capsys):
    for name, tile in {"a": "16", "b": "none"}.items():
        shutil.copytree(done / "ck", name)
        names = f"--output={name}.png", f"--metrics={name}.csv", f"--checkpoint={name}"
        assert run.main([*job, "--log_every=10", f"--tile={tile}", *names]) == 0
        said = capsys.readouterr().err
        assert ("not bit for bit: windows=none then, windows=" in said) == (name == "a")
        assert ("bit for bit" in said) == (name == "a")


def test_conditions_name_what_numbers_depend_on(monkeypatch):
    shapes, styles = [(300, 400), (600, 800)], [(500, 400)]
    config = Config()
    here = conditions.here(config, shapes, styles)
    assert here["history"] == str(config.optimizer.history)
    assert here["windows"] == "none"
    monkeypatch.setenv("XLA_FLAGS", "--b --a")
    assert conditions.here(config, shapes, styles)["XLA_FLAGS"] == "--a --b"
    tiled = [
        conditions.here(
            dataclasses.replace(config, memory=MemoryConfig(tile=tile)), shapes, styles
        )["windows"]
        for tile in ("128", "256", "128")
    ]
    assert tiled[0] == tiled[2] != tiled[1]
    assert "none" not in tiled


@pytest.fixture
def short(monkeypatch):
    """A memory for so many pairs of L-BFGS."""
    room = [3]

    def fitted(content, styles, config, forward):
        most = min(room[0], config.optimizer.history)
        return memory._with(config, history=most)

    monkeypatch.setattr(memory, "fitted", fitted)
    return room


def test_a_history_that_was_cut_to_fit_stays_so_where_there_is_more(
    job, monkeypatch, capsys, short
):
    job += ["--scales=none", "--optimizer=lbfgs"]
    assert run.main([*job, "--checkpoint=other"]) == 0
    want = left()
    capsys.readouterr()
    cut([*job, "--overwrite"], monkeypatch, 4)
    short[0] = 100
    assert run.main(job) == 0
    said = capsys.readouterr().err
    assert "bit for bit" not in said
    assert left()[1] == want[1]
    assert "history=10 then, history=9 now; give" in refused(
        capsys, [*job, "--history=9"]
    )
    # Its flagfile says what it has had.
    shutil.copy("out.flags", "had.flags")
    assert "--history=3\n" in pathlib.Path("had.flags").read_text()
    assert run.main([*job, "--flagfile=had.flags"]) == 0
    assert "bit for bit" not in capsys.readouterr().err
    assert left()[1] == want[1]


@pytest.mark.parametrize("resumes", ["exact", "extend"])
def test_a_history_that_no_longer_fits_is_let_go(
    job, monkeypatch, capsys, short, resumes
):
    job += ["--scales=none", "--optimizer=lbfgs", "--keep=best"]
    cut(job, monkeypatch, 6)
    before = rows()
    capsys.readouterr()
    short[0] = 2
    assert run.main([*job, f"--resume={resumes}"]) == 0
    assert "not bit for bit: history=3 then, history=2 now" in capsys.readouterr().err
    assert rows()[: len(before)] == before
    assert record()["steps"] == 6
    assert record()["recoveries"] == []
    assert float(rows()[-1]["total"]) <= float(before[-1]["total"])


def test_a_folder_is_for_one_run_at_a_time(job, done, capsys):
    shutil.copytree(done / "ck", "ck")
    there = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    (pathlib.Path("link")).symlink_to("ck", target_is_directory=True)
    with locks.held(pathlib.Path("ck"), name=claim.LOCK):
        for name in ("ck", "link"):
            line = refused(capsys, [*job, f"--checkpoint={name}"])
            assert f"another run is using --checkpoint={name}; wait" in line
        assert run.main([*job, "--dry_run"]) == 0  # it only looks
    now = {path.name: path.read_bytes() for path in pathlib.Path("ck").iterdir()}
    assert now == there
    assert not os.path.exists("out.png")
    assert run.main([*job, "--log_every=10", "--checkpoint=link"]) == 0
    assert os.path.islink("link")


def test_where_folders_cannot_be_locked_it_says_so(job, capsys, monkeypatch):
    @contextlib.contextmanager
    def held(folder, patience=0.0, name=""):
        raise OSError(errno.ENOLCK, "No locks available")
        yield

    monkeypatch.setattr(locks, "held", held)
    assert run.main([*job, "--steps=0"]) == 0
    said = capsys.readouterr().err
    assert "--checkpoint=ck cannot be locked (No locks available)" in said


def test_a_refused_run_leaves_no_folder(job, capsys):
    refused(capsys, [*job, "--content_layers=relu9_9"])
    refused(capsys, [*job, "--content=missing.png"])
    assert os.listdir() == []


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_extended_by_steps_it_is_the_longer_run(job, optimizer):
    job += ["--scales=none", f"--optimizer={optimizer}", "--log_every=2"]
    assert run.main([*job, "--steps=10", "--checkpoint=other"]) == 0
    want = left()
    for name in ("out.png", "out.csv", "out.flags", "out.json"):
        os.unlink(name)
    assert run.main(job) == 0
    assert run.main([*job, "--steps=10", "--resume=extend"]) == 0
    assert left() == want


def test_extended_in_size_it_goes_on_from_the_smaller_picture(job, capsys):
    assert run.main(job) == 0
    assert run.main([*job, "--size=44", "--resume=extend"]) == 0
    assert size("out.png") == (44, 33)
    assert [row["step"] for row in rows()] == ["0", "4", "6", "8", "12", "16", "18"]
    sizes = [each["size"] for each in record()["scales"]]
    assert sizes == [[24, 18], [32, 24], [44, 33]]
    # Where the size is one of the scales, it goes on there.
    assert run.main([*job, "--size=64", "--scales=44", "--resume=extend"]) == 0
    assert size("out.png") == (64, 48)


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_the_picture(job, monkeypatch, number):
    assert run.main(job) == 0
    want = left()
    shutil.rmtree("ck")
    whole = transfer.steps

    def steps(*pictures, **options):
        for now in whole(*pictures, **options):
            if now.step == 5:
                os.kill(os.getpid(), number)
            yield now

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "steps", steps)
        arguments = [*job, "--overwrite", "--checkpoint_every=1000s", "--save_every=5"]
        assert run.main(arguments) == 128 + number
    assert record()["steps"] == 5
    assert record()["warnings"] == [f"interrupted ({number.name})"]
    assert run.main(job) == 0
    assert left() == want


def test_every_second_may_be_often_enough(job, monkeypatch):
    written, whole = [], checkpoint.write
    monkeypatch.setattr(
        checkpoint, "write", lambda *a: (written.append(a[1]), whole(*a))
    )
    assert run.main([*job, "--checkpoint_every=1000s"]) == 0
    assert written == [0, 6, 12]  # and at the end of each scale
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]

        def monotonic():
            now[0] += 10
            return now[0]

        patch.setattr(resume.time, "monotonic", monotonic)
        arguments = [*job, "--checkpoint_every=1s", "--checkpoint=other", "--overwrite"]
        assert run.main(arguments) == 0
    assert len(written) > 6


def test_a_state_of_another_kind_is_refused(job, done, capsys, monkeypatch):
    shutil.copytree(done / "ck", "ck")
    whole = checkpoint.find

    def find(folder):
        found = whole(folder)
        arrays = dict(found.checkpoint.arrays)
        arrays.pop(".good")
        return found._replace(checkpoint=found.checkpoint._replace(arrays=arrays))

    monkeypatch.setattr(checkpoint, "find", find)
    line = refused(capsys, [*job, "--log_every=10"])
    assert "expected float32[24, 32, 3] at '.good', found nothing" in line


@pytest.mark.parametrize("history", ["", "1", "9" * 5000, "-3", "99999"])
def test_a_history_that_is_none_breaks_nothing(job, done, capsys, monkeypatch, history):
    shutil.copytree(done / "ck", "ck")
    whole = checkpoint.find

    def find(folder):
        found = whole(folder)
        about = dict(found.checkpoint.about)
        about["made_with"] = {**about["made_with"], "history": history}
        return found._replace(checkpoint=found.checkpoint._replace(about=about))

    monkeypatch.setattr(checkpoint, "find", find)
    status = run.main([*job, "--log_every=10"])
    *_, line = capsys.readouterr().err.splitlines()
    if history == "1":  # which would be taken, were the state of one pair
        assert status == 2
        assert "of another kind of run: expected float32[1, 24, 32, 3]" in line
    else:
        assert status == 0
        assert "not bit for bit: history=" in line


def test_kills_at_random_moments(tmp_path, monkeypatch):
    """Three of them; the run that nobody touches is made here, where JAX is loaded."""
    monkeypatch.setattr(kills, "_STEPS", 6)
    kills.pictures(tmp_path)
    job = kills.Job(tmp_path, "adam", 36, life=4.0)
    (tmp_path / "adam").mkdir()
    _, _, _, *arguments = kills.command_of(job, tmp_path / "adam")
    assert run.main(arguments) == 0
    done, draw = 0, random.Random(os.urandom(2))
    while done < 3:
        count, found = kills.survived(job, tmp_path / f"run-{done}", 3 - done, draw)
        assert found == []
        done += count


def test_the_script_sees_what_differs(job):
    assert run.main(job) == 0
    for name in ("one", "two"):
        folder = pathlib.Path(name)
        shutil.copytree("ck", folder / "checkpoint")
        for each in ("out.png", "out.flags", "out.csv"):
            shutil.copy(each, folder)
    one, two = pathlib.Path("one").resolve(), pathlib.Path("two").resolve()
    assert kills.differences(one, two) == []
    text = (two / "out.csv").read_text()
    (two / "out.csv").write_text(text.replace("\n4,", "\n5,"))
    Image.new("RGB", (32, 24)).save(two / "out.png")
    (two / "checkpoint" / ".nst_jax-1.tmp").touch()
    found = kills.differences(one, two)
    assert found[:2] == ["out.png", "metrics"]
    assert len(found) == 3
