"""The command line, from arguments to files and exit status."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax import (
    budget,
    course,
    devices,
    disk,
    images,
    inputs,
    pictures,
    pretrained,
    run,
    solve,
    transfer,
)
from nst_jax.pretrained import places

FAST = ("--weights=random", "--size=32", "--steps=3", "--device=cpu")

SHALLOW = ("--content_layers=relu2_1", "--style_layers=relu1_1")  # soon compiled


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a photo and a painting, both of them noise on a slope."""
    path = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, (rows, columns) in {"photo": (60, 80), "painting": (70, 50)}.items():
        slope = np.linspace(0, 200, columns)[None, :, None]
        noise = generator.integers(0, 55, (rows, columns, 3))
        Image.fromarray((slope + noise).astype(np.uint8)).save(path / f"{name}.png")
    return path


@pytest.fixture
def job(folder, tmp_path, monkeypatch):
    """The arguments of a small job whose result goes to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return [
        f"--content={folder / 'photo.png'}",
        f"--style={folder / 'painting.png'}",
        "--output=out.png",
        *FAST,
    ]


@pytest.fixture
def meanwhile(monkeypatch):
    """Lets something happen at the first image of a run: before it, or after."""

    def arrange(happens, before=False):
        whole = transfer.steps

        def steps(*pictures, **options):
            if before:
                happens()
            for index, now in enumerate(whole(*pictures, **options)):
                yield now
                if index == 0 and not before:
                    happens()

        monkeypatch.setattr(transfer, "steps", steps)

    return arrange


def shown(path):
    """The samples of a picture file."""
    return np.asarray(Image.open(path))


def refused(capsys, arguments):
    """The one line that a refused request is answered with."""
    there = sorted(os.listdir())
    assert run.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("nst-jax: ")
    assert sorted(os.listdir()) == there
    return said.err


def test_a_job_leaves_picture_settings_metrics_and_steps(job, capsys):
    extra = ("--metrics=m.csv", "--log_every=2", "--save_every=1")
    extra += ("--preview=look.jpg",)
    assert run.main([*job, *extra]) == 0
    said = capsys.readouterr()
    first = said.out.splitlines()[0]
    for word in ("CPU", "float32", "vgg19", "random weights", "32x24", "3 steps"):
        assert word in first
    assert sorted(os.listdir()) == [
        "look.jpg",
        "m.csv",
        "out.flags",
        "out.json",
        "out.png",
        "out_000001.png",
        "out_000002.png",
    ]
    with open("m.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["step", "seconds", "total", "content", "style", "tv"]
    assert "content/relu4_2" in rows[0]
    assert "style/relu5_1" in rows[0]
    assert [row["step"] for row in rows] == ["0", "2", "3"]
    for row in rows:
        terms = [float(row[name]) for name in ("content", "style", "tv")]
        assert sum(terms) == pytest.approx(float(row["total"]), rel=1e-6)
        layers = [float(row[name]) for name in row if name.startswith("style/")]
        assert sum(layers) == pytest.approx(float(row["style"]), rel=1e-6)
    assert float(rows[-1]["total"]) < float(rows[0]["total"])
    result = images.read("out.png", max_pixels=10**6)
    assert result.pixels.shape == (24, 32, 3)


def test_settings_repeat_the_run_exactly(job, capsys):
    extra = ("--metrics=m.csv", "--preview=look.png", "--quiet")
    assert run.main([*job, "--init=noise", "--seed=7", *extra]) == 0
    assert capsys.readouterr().out == ""
    table = Path("m.csv").read_bytes()
    first = np.asarray(Image.open("out.png"))
    assert run.main(["--flagfile=out.flags", "--output=again.png"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("again.png")), first)
    assert Path("m.csv").read_bytes() == table
    source = [argument for argument in job if argument[:5] in ("--con", "--sty")]
    arguments = ["--from=out.png", "--output=from.png", *source]
    assert run.main(arguments) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("from.png")), first)
    other = ["--from=out.png", "--seed=8", "--output=other.png", *source]
    assert run.main(other) == 0
    assert (np.asarray(Image.open("other.png")) != first).any()
    assert os.path.dirname(job[0][10:]) not in images.read_settings("out.png")


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_same_bytes_in_one_process_and_in_another(job, optimizer):
    job += [*SHALLOW, f"--optimizer={optimizer}", "--init=noise", "--scales=24"]
    for name in ("out", "again"):
        arguments = [f"--output={name}.png", f"--metrics={name}.csv", "--quiet"]
        assert run.main([*job, *arguments]) == 0
    assert Path("out.png").read_bytes() == Path("again.png").read_bytes()
    arguments = program(*job, "--output=other.png", "--quiet")
    assert subprocess.run(arguments, capture_output=True).returncode == 0
    assert Path("out.png").read_bytes() == Path("other.png").read_bytes()


def test_the_record_tells_programs_what_was_done(job, folder):
    extra = ("--scales=24", "--scale_steps=2", "--metrics=m.csv", "--seed=3")
    assert run.main([*job, *SHALLOW, *extra, "--quiet"]) == 0
    record = json.loads(Path("out.json").read_text())
    digest = hashlib.sha256((folder / "photo.png").read_bytes()).hexdigest()
    assert record["inputs"]["content"] == {"file": "photo.png", "sha256": digest}
    assert record["made_with"]["jax"] == jax.__version__
    assert record["made_with"]["device"].startswith("CPU")
    assert record["seed"] == record["settings"]["seed"] == 3
    assert record["settings"]["learning_rate"] == 1  # as it was, not as asked for
    assert record["scales"] == [
        {"size": [24, 18], "steps": 2, "ended": "steps"},
        {"size": [32, 24], "steps": 3, "ended": "steps"},
    ]
    with open("m.csv", newline="") as file:
        *_, last = csv.DictReader(file)
    assert record["steps"] == int(last["step"]) == 5
    for name, value in record["terms"].items():
        assert value == float(last[name])
    assert set(record["seconds"]) == {"load", "compile", "optimise"}
    assert record["warnings"] == record["recoveries"] == record["resumed_after"] == []


def test_the_record_is_not_written_over(job, capsys):
    Path("out.json").write_text("mine")
    assert "'out.json', where the facts of 'out.png' go" in refused(capsys, job)
    assert run.main([*job, *SHALLOW, "--overwrite", "--metrics=m.json"]) == 0
    assert json.loads(Path("out.json").read_text())["steps"] == 3
    capsys.readouterr()
    line = refused(capsys, [*job, "--overwrite", "--metrics=out.json"])
    assert "another file of this run" in line


def test_a_run_keeps_to_its_time(job, capsys):
    """How well is for `test_budget`, where nothing else is on the machine."""
    arguments = [*job, *SHALLOW, "--steps=100000000", "--optimizer=adam"]
    started = time.monotonic()
    assert run.main([*arguments, "--max_seconds=3"]) == 0
    assert time.monotonic() - started > 2.5
    record = json.loads(Path("out.json").read_text())
    (only,) = record["scales"]
    assert only["ended"] == "time"
    assert only["steps"] == record["steps"] > 0
    assert record["terms"]
    assert "its time is up at 32x24 after step" in capsys.readouterr().out


def test_a_scale_for_which_there_is_no_time_is_enlarged(job, capsys, monkeypatch):
    arguments = [*job, *SHALLOW, "--scales=24", "--steps=3", "--metrics=m.csv"]
    whole = budget.budget

    def late(pace, limits):
        timed = whole(pace, limits)
        return timed._replace(began=lambda scale: scale == 0)

    monkeypatch.setattr(budget, "budget", late)
    assert run.main(arguments) == 0
    said = capsys.readouterr().out
    assert "up before 32x24: the picture of 24x18 is enlarged to it" in said
    assert images.read("out.png", max_pixels=10**6).pixels.shape == (24, 32, 3)
    record = json.loads(Path("out.json").read_text())
    assert record["scales"] == [{"size": [24, 18], "steps": 3, "ended": "steps"}]
    assert record["picture"]["size"] == [32, 24]
    assert record["terms"] is None
    content = hashlib.sha256(Path("out.png").read_bytes()).hexdigest()
    assert record["picture"]["sha256"] == content


def test_a_run_that_has_settled_says_so(job, capsys):
    arguments = [*job, *SHALLOW, "--scales=24", "--steps=1000", "--tolerance=0.5"]
    assert run.main([*arguments, "--tolerance_steps=2"]) == 0
    said = capsys.readouterr().out
    assert "the loss has settled at 24x18 after step" in said
    assert "the loss has settled at 32x24 after step" in said
    record = json.loads(Path("out.json").read_text())
    assert record["steps"] == sum(each["steps"] for each in record["scales"]) < 200


def test_rows_of_a_way_that_is_left_are_taken_back(job, capsys):
    wild = ("--optimizer=sgd", "--learning_rate=100", "--box=none", "--log_every=1")
    arguments = [*job, *SHALLOW, *wild, "--metrics=m.csv", "--max_recoveries=60"]
    assert run.main([*arguments, "--steps=12"]) == 0
    recoveries = json.loads(Path("out.json").read_text())["recoveries"]
    assert 3 < len(recoveries) < 40
    assert capsys.readouterr().err.count("it goes on there at the rate") == (
        len(recoveries)
    )
    with open("m.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(13))
    assert all(np.isfinite(float(row["total"])) for row in rows)


def test_what_is_typed_and_does_nothing_is_told(job, capsys):
    typed = ("--noise_ratio=0.3", "--scales=8,700", "--save_every=9")
    assert run.main([*job, *SHALLOW, "--steps=3", *typed, "--quiet"]) == 0
    _, *said = capsys.readouterr().err.splitlines()  # random weights are announced
    assert said == [
        "nst-jax: --noise_ratio has no effect here: it needs --init=blend",
        "nst-jax: --save_every=9 keeps no picture of 3 steps: give fewer",
        "nst-jax: --scales leaves out 8: the layers need 16 px on each side",
        "nst-jax: --scales leaves out 700: the result has 32 px",
    ]
    # The record names every setting: that is no expectation.
    assert run.main(["--flagfile=out.flags", "--output=a.png", "--steps=0"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    # What is refused in the end is answered in one line.
    refused(capsys, [*job, *typed, "--output=b.png", "--weights=missing.h5"])


def test_no_steps_write_the_unchanged_image_and_row_0(job):
    assert run.main([*job, "--steps=0", "--metrics=m.csv", "--size=0"]) == 0
    with open("m.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0"]
    content = job[0].partition("=")[2]
    np.testing.assert_array_equal(
        np.asarray(Image.open("out.png")), np.asarray(Image.open(content))
    )


def test_a_dry_run_tells_and_writes_nothing(job, capsys):
    assert run.main([*job, "--dry_run"]) == 0
    said = capsys.readouterr().out
    for word in ("32x24", "relu4_2", "relu5_1", "MiB", "out.png", "wrote nothing"):
        assert word in said
    assert os.listdir() == []


def test_alpha_and_depth_are_kept(job, folder):
    job[0] = clear(folder, "clear.png")
    assert run.main([*job, "--bit_depth=16", "--steps=1"]) == 0
    result = images.read("out.png", max_pixels=10**6)
    assert result.alpha is not None
    assert result.alpha[:, :10].max() == 0
    assert result.alpha[:, -10:].min() == 1
    # More than 8 bits: not every value is a multiple of 1/255.
    steps = result.pixels * 255
    assert np.abs(steps - np.rint(steps)).max() > 0.1


def test_fit_crop_cuts_the_style_to_the_shape_of_the_content(job, capsys):
    assert run.main([*job, "--dry_run", "--fit=crop"]) == 0
    assert "style at 32x24" in capsys.readouterr().out
    assert run.main([*job, "--dry_run", "--style_scale=2"]) == 0
    assert "style at 46x64" in capsys.readouterr().out


def test_a_dry_run_says_what_would_be_fetched(job, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(places.VARIABLE, raising=False)
    monkeypatch.setattr(places, "folders", lambda: (tmp_path / "weights",))
    monkeypatch.setattr(pretrained, "load", None)
    assert run.main([*job, "--dry_run", "--weights=auto"]) == 0
    assert "weights to be fetched (80 MB)" in capsys.readouterr().out
    assert os.listdir() == []
    arguments = [*job, "--dry_run", "--weights=auto", "--offline", "--quiet"]
    assert "not on this machine" in refused(capsys, arguments)


def clear(folder, path):
    """The photo with its left half transparent."""
    pixels = shown(folder / "photo.png")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :40] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(path)
    return f"--content={path}"


def test_the_network_sees_white_where_a_picture_is_transparent(job, folder):
    job[0] = clear(folder, "clear.png")
    config = nst_jax.Config(
        inputs=nst_jax.InputConfig(content="clear.png", style=("clear.png",), size=32)
    )
    read = inputs.read(config)
    assert read.content[:, :12].min() == 1
    assert read.alpha[:, :12].max() == 0
    for found in (read.content, read.styles[0]):
        np.testing.assert_array_equal(found, nst_jax.load_image("clear.png", 32))
    # JPEG has no opacity: the result stands on white.
    assert run.main([*job, "--output=out.jpg", "--steps=1"]) == 0
    assert shown("out.jpg")[:, :10].min() > 250


WIDE = "--content=wide.png --size=0 --style_scale=0.01"
WRONG = {
    "--content_weight=0 --style_weight=0 --tv_weight=0": "must be above 0",
    "--style_layers=": "--style_layers must name a layer, got none",
    "--stpes=3": "did you mean --steps",
    "picture.jpg": "unexpected argument 'picture.jpg'",
    "--content=missing.jpg": "'missing.jpg' does not exist",
    "--content=.": "cannot be done",
    "--content=empty.png": "is empty",
    "--content=text.png": "text.png",
    "--content=cut.png": "cut.png",
    "--content=dot.png": "dot.png",
    "--style=missing.jpg": "'missing.jpg' does not exist",
    "--style=": "missing --style",
    "--style_layers=relu9_1": "layer 'relu9_1' is not in vgg19",
    "--style_layers=relu1_1:x": "NAME:WEIGHT",
    "--content_layers=relu4_4 --network=vgg16": "relu4_4",
    "--optimizer=adams": "--optimizer must be one of",
    "--preset=defautl": "did you mean default",
    "--from=text.png": "text.png",
    "--flagfile=missing.flags": "missing.flags",
    "--output=out.xyz": "out.xyz",
    "--output=missing/out.png": "does not exist",
    "--output=.": "folder",
    "--output=there.png": "exists already",
    "--output=out.jpg --bit_depth=16": "16",
    "--steps=-1": "--steps must be at least 0, got -1",
    "--content_weight=nan": "--content_weight must be",
    "--style_weight=-3": "--style_weight must be",
    "--learning_rate=inf": "--learning_rate must be",
    "--style_weights=1,2": "--style_weights must have one value",
    "--style_scale=1,2,3": "--style_scale must have one value",
    "--size=15": "at least 16",
    "--content_layers=pool5 --size=22": "at least 32",
    "--style_layers=pool5 --size=22": "at least 32",
    f"{WIDE} --output=out.webp": "at most 16383 px",
    f"{WIDE} --preview=look.webp": "at most 16383 px",
    "--save_every=1 --preview=out_000002.png": "as --save_every counts",
    "--undefok=stpes --stpes=4": "unknown flag --undefok",
    "--max_pixels=100": "100",
    "--device=gpu:9": "--device=gpu:9 is not there",
    "--device=npu": "--device must be",
    "--init=missing.png": "'missing.png', which does not exist",
    "--weights=text.png": "text.png",
    "--output=photo.jpg --content=photo.jpg": "over the file of --content",
    "--output=old.png": "'old.flags', where the settings of 'old.png' go, exists",
    "--weights=": "--weights must be auto",
    "--weights=missing.safetensors": "missing.safetensors",
    "--weights=pickle.pth": "pickle.pth",
    "--metrics=missing/m.csv": "missing",
    "--metrics=there.png": "exists already",
    "--metrics=out.png": "another file of this run",
    "--preview=out.png": "another file of this run",
    "--output=text.png --overwrite --content=there.png --style=text.png": "text.png",
}


@pytest.fixture
def litter(folder, tmp_path, monkeypatch):
    """A working folder full of files that are not what they should be."""
    monkeypatch.chdir(tmp_path)
    whole = (folder / "photo.png").read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "photo.jpg").write_bytes(whole)
    (tmp_path / "old.flags").write_text("--seed=3\n")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "there.png").write_bytes(whole)
    (tmp_path / "pickle.pth").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("RGB", (17000, 16)).save(tmp_path / "wide.png")


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_requests_are_answered_in_one_line(job, litter, capsys, wrong):
    arguments = [*job, *wrong.split(" ")]
    line = refused(capsys, arguments)
    assert WRONG[wrong] in line
    assert refused(capsys, [*arguments, "--dry_run", "--quiet"]) == line


def test_what_is_read_is_never_written_over(job, litter, tmp_path, capsys):
    Path("mine.flags").write_text("--seed=3\n")
    Path("numbers").write_text("weights")
    os.link("there.png", "twin.png")
    run.main([*job, "--output=earlier.png", "--steps=0", "--quiet"])
    capsys.readouterr()
    for arguments, what in {
        "--content=there.png --output=there.png": "the file of --content",
        "--style=there.png --output=twin.png": "the file of --style",
        "--init=there.png --preview=there.png": "the file of --init",
        "--weights=numbers --metrics=numbers": "the file of --weights",
        "--flagfile=mine.flags --output=mine.png": "settings come from",
        "--from=earlier.png --output=earlier.png": "settings come from",
    }.items():
        line = refused(capsys, [*job, *arguments.split(" "), "--overwrite"])
        assert "would be written over" in line
        assert what in line


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_folder_without_permission(job, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:  # to whom such a folder is open
        locked = Path("/proc")
        if not locked.is_dir():
            pytest.skip("no folder is closed to root here")
    assert str(locked) in refused(capsys, [*job, f"--output={locked}/out.png"])
    assert str(locked) in refused(capsys, [*job, f"--metrics={locked}/m.csv"])


def test_overwrite_replaces(job):
    assert run.main(job) == 0
    assert run.main(job) == 2
    assert run.main([*job, "--overwrite"]) == 0


def test_a_divergence_ends_with_1_and_the_last_good_image(job, capsys):
    wild = ("--optimizer=sgd", "--learning_rate=1e30", "--box=none")
    assert run.main([*job, *wild]) == 1
    announced, *tried, last = capsys.readouterr().err.splitlines()
    assert "random weights" in announced
    assert len(tried) == 10  # --max_recoveries
    rates = [float(line.rpartition(" ")[2]) for line in tried]
    np.testing.assert_allclose(rates, 1e30 / 2 ** np.arange(1, 11), rtol=1e-2)
    assert "after step 0" in last
    content = images.read(job[0].partition("=")[2], max_pixels=10**6)
    start = images.resize(content.pixels, (24, 32), filter="lanczos")
    kept = images.read("out.png", max_pixels=10**6)
    np.testing.assert_allclose(kept.pixels, start, atol=0.51 / 255)


# What happens while it runs


def test_the_digests_are_those_of_what_was_read(job, folder, meanwhile):
    shutil.copy(folder / "photo.png", "moved.png")
    shutil.copy(folder / "painting.png", "changed.png")
    digests = [
        hashlib.sha256(Path(name).read_bytes()).hexdigest()
        for name in ("moved.png", "changed.png")
    ]

    def happens():
        Path("moved.png").unlink()
        Path("changed.png").write_bytes(b"another picture")

    meanwhile(happens)
    job[:2] = ["--content=moved.png", "--style=changed.png"]
    assert run.main(job) == 0
    for text in (Path("out.flags").read_text(), images.read_settings("out.png")):
        assert f"# content: moved.png sha256 {digests[0]}\n" in text
        assert f"# style: changed.png sha256 {digests[1]}\n" in text


def test_a_file_that_took_the_name_meanwhile_stays(job, meanwhile, capsys):
    def happens():
        Path("out.png").write_text("mine")
        Path("out_000001.png").write_text("mine")

    meanwhile(happens)
    assert run.main([*job, "--save_every=1"]) == 1
    assert Path("out.png").read_text() == Path("out_000001.png").read_text() == "mine"
    said = capsys.readouterr().err.splitlines()
    assert "another file has the name 'out.png'" in said[-1]
    assert "is in 'out-1.png'" in said[-1]
    assert shown("out-1.png").shape == (24, 32, 3)
    assert "--seed=0" in Path("out-1.flags").read_text()
    assert [line for line in said if "'out_000001.png' is left out" in line]
    assert not Path("out.flags").exists()


def test_a_table_that_took_the_name_meanwhile_stays(job, meanwhile, capsys):
    meanwhile(lambda: Path("m.csv").write_text("mine"), before=True)
    assert run.main([*job, "--metrics=m.csv"]) == 1
    assert "exists: 'm.csv'); the picture after step 0" in capsys.readouterr().err
    assert Path("m.csv").read_text() == "mine"


def test_a_folder_that_vanishes_does_not_take_the_picture_with_it(
    job, meanwhile, capsys
):
    Path("far").mkdir()
    meanwhile(lambda: Path("far").rmdir())
    assert run.main([*job, "--output=far/out.png"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "could not be written (No such file or directory)" in said
    assert "step 3 is in 'out.png'" in said
    assert sorted(os.listdir()) == ["out.flags", "out.json", "out.png"]


def test_a_preview_that_fails_is_left_out(job, meanwhile, capsys):
    Path("look").mkdir()
    meanwhile(lambda: shutil.rmtree("look"))
    arguments = [*job, "--preview=look/now.png", "--preview_every=1"]
    assert run.main(arguments) == 0
    said = capsys.readouterr().err
    assert said.count("look/now.png' is left out") == 1
    assert os.path.exists("out.png")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (
            jax.errors.JaxRuntimeError("INTERNAL: Out of memory allocating 9 bytes"),
            "try a smaller --size",
        ),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 bytes"), "out of memory"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device"), "No space left"),
        (ZeroDivisionError("nothing"), "it broke while running (nothing)"),
    ],
)
def test_what_breaks_at_the_start_ends_with_1(job, capsys, monkeypatch, error, word):
    def steps(*_, **__):
        raise error

    monkeypatch.setattr(transfer, "steps", steps)
    assert run.main(job) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert word in said
    assert said.endswith("nothing was written")
    assert os.listdir() == []


@pytest.mark.parametrize("error", [nst_jax.errors.RequestError("late"), KeyError(1)])
def test_what_breaks_later_keeps_the_picture(job, capsys, meanwhile, error):
    def happens():
        raise error

    meanwhile(happens)
    assert run.main([*job, "--metrics=m.csv"]) == 1
    assert "after step 0 is in 'out.png'" in capsys.readouterr().err
    assert shown("out.png").shape == (24, 32, 3)
    assert len(Path("m.csv").read_text().splitlines()) == 2


def test_a_frame_does_not_keep_the_image_from_being_donated():
    image = jax.numpy.zeros((16, 16, 3))
    state = solve.State(image, None, jax.numpy.int32(0), image)
    now = solve.Progress(0, state, 0.0, None, True)
    here = pictures.Pictures(np.zeros((16, 16, 3), np.float32), ())
    frame = course.frame(now, lambda shape: here, nst_jax.Config())
    jax.jit(lambda x: x + 1, donate_argnums=0)(image)
    assert image.is_deleted()
    assert frame.image.flags.writeable
    assert frame.image.max() == 0


def test_the_file_of_the_variable_is_what_auto_stands_for(
    job, tmp_path, capsys, monkeypatch
):
    file, asked = tmp_path / "unknown.safetensors", []
    file.touch()
    monkeypatch.setenv(places.VARIABLE, str(file))
    whole = pretrained.load

    def load(network, weights, **options):
        asked.append(weights)
        return whole(network, "random", **options)

    monkeypatch.setattr(pretrained, "load", load)
    assert run.main([*job, "--weights=auto"]) == 0
    assert asked == [str(file)]
    assert f"vgg19 ({file})" in capsys.readouterr().out
    assert f"--weights={file}\n" in Path("out.flags").read_text()
    assert "--weights=unknown.safetensors\n" in images.read_settings("out.png")


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot be elsewhere")
def test_names_that_are_no_unicode(job, folder):
    name = os.fsdecode(b"ph\xffoto.png")
    shutil.copy(folder / "photo.png", name)
    job[0] = f"--content={name}"
    assert run.main([*job, "--quiet"]) == 0
    assert b"/ph\xffoto.png\n" in Path("out.flags").read_bytes()
    assert sorted(os.listdir()) == sorted(["out.flags", "out.json", "out.png", name])
    assert run.main(["--flagfile=out.flags", "--output=again.png", "--quiet"]) == 0
    np.testing.assert_array_equal(shown("again.png"), shown("out.png"))


@pytest.mark.skipif(os.name == "nt", reason="such folders cannot exist on Windows")
def test_a_folder_that_no_flagfile_can_name_is_refused_at_once(
    job, tmp_path, monkeypatch, capsys
):
    (tmp_path / "a\nb").mkdir()
    monkeypatch.chdir(tmp_path / "a\nb")
    assert "control characters" in refused(capsys, job)


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@posix
def test_a_signal_before_the_first_step_keeps_the_first_image(job, capsys, meanwhile):
    meanwhile(lambda: os.kill(os.getpid(), signal.SIGINT), before=True)
    assert run.main([*job, "--quiet"]) == 130
    assert "step 0 is in 'out.png'" in capsys.readouterr().err
    content = nst_jax.load_image(job[0].partition("=")[2], 32)
    kept = images.read("out.png", max_pixels=10**6)
    np.testing.assert_allclose(kept.pixels, content, atol=0.51 / 255)


@posix
def test_a_signal_while_the_picture_is_written_waits_for_it(job, capsys, monkeypatch):
    whole = disk.write

    def write(path, data, **options):
        if path.name == "out.png":
            os.kill(os.getpid(), signal.SIGTERM)
        whole(path, data, **options)

    monkeypatch.setattr(disk, "write", write)
    assert run.main(job) == 143
    assert "step 3 is in 'out.png'" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["out.flags", "out.json", "out.png"]


@posix
def test_an_earlier_result_is_not_replaced_by_the_content(job, capsys, meanwhile):
    arguments = [*job, "--overwrite", "--quiet"]
    assert run.main(arguments) == 0
    before = Path("out.png").read_bytes(), Path("out.flags").read_bytes()
    meanwhile(lambda: os.kill(os.getpid(), signal.SIGINT), before=True)
    assert run.main(arguments) == 130
    assert "and stays; the picture after step 0 is in 'out-1.png'" in (
        capsys.readouterr().err
    )
    assert before == (Path("out.png").read_bytes(), Path("out.flags").read_bytes())


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_jax_is_loaded_is_neither_lost_nor_a_crash(number):
    # What a callback of the garbage collector raises is lost; JAX has such ones.
    code = (
        "import gc, os; from nst_jax import run\n"
        "def main(argv):\n"
        f"    gc.callbacks.append(lambda *_: os.kill(os.getpid(), {int(number)}))\n"
        "    gc.collect()\n"
        "    return 0\n"
        "run.main = main; run.entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert done.stderr == f"nst-jax: interrupted ({number.name})\n"


def test_pictures_that_do_not_fit_into_memory(job, capsys, monkeypatch):
    def resize(*_, **__):
        raise MemoryError

    monkeypatch.setattr(images, "resize", resize)
    line = refused(capsys, [*job, "--size=100000"])
    assert "do not fit into memory at --size=100000" in line


def test_help_version_and_presets_answer(capsys):
    for question, word in {
        "--help": "--content_weight",
        "--version": "nst-jax",
        "--preset=help": "default",
    }.items():
        assert run.main([question]) == 0
        assert word in capsys.readouterr().out


def program(*arguments, **options):
    return [sys.executable, "-m", "nst_jax.run", *arguments]


def test_a_wrong_flag_is_answered_before_jax_is_loaded(job):
    Image.new("RGB", (80, 60), "red").save("red.png")
    code = (
        "import sys; from nst_jax import run; status = run.main(sys.argv[1:]); "
        "heavy = {'jax', 'flax', 'optax', 'h5py'} & set(sys.modules); "
        "print(status, sorted(heavy))"
    )
    for wrong in (
        *("--stpes=3", "--content=missing.jpg", "--output=missing/a.png"),
        *("--device=npu", "--fill=red.png"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *job, wrong], capture_output=True, text=True
        )
        assert done.stdout == "2 []\n"


@pytest.mark.parametrize(
    ("argument", "status", "word"), [("-h", 0, "--tv_weight"), ("-x", 2, "--help")]
)
def test_the_package_is_the_program_too(argument, status, word):
    done = [
        subprocess.run(
            [sys.executable, "-m", name, argument], capture_output=True, text=True
        )
        for name in ("nst_jax", "nst_jax.run")
    ]
    assert done[0].returncode == done[1].returncode == status
    assert (done[0].stdout, done[0].stderr) == (done[1].stdout, done[1].stderr)
    assert word in done[0].stdout + done[0].stderr


def test_a_device_that_is_not_there_has_a_remedy(job, capsys, monkeypatch):
    whole = devices._seen
    seen = lambda kind: [] if kind in ("gpu", "tpu") else whole(kind)  # noqa: E731
    monkeypatch.setattr(devices, "_seen", seen)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert 'install -e ".[cuda13]"' in refused(capsys, [*job, "--device=gpu"])
    assert 'install -e ".[tpu]"' in refused(capsys, [*job, "--device=tpu:1"])
    # What the program itself has set is not the user's to mend.
    line = refused(capsys, [*job, "--device=cpu:9"])
    assert line.endswith("JAX sees cpu:0; choose one of them\n")
    assert "JAX_PLATFORMS" not in line
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    line = refused(capsys, [*job, "--device=gpu"])
    assert "JAX_PLATFORMS='cpu'" in line
    assert "install" not in line


def test_a_file_name_is_no_picture_for_a_notebook():
    code = (
        "import numpy, nst_jax; picture = numpy.ones((32, 32, 3))\n"
        "for pair in (('a.jpg', picture), (picture, 'a.jpg'), (picture, ['a.jpg'])):\n"
        "    try:\n"
        "        nst_jax.stylize(*pair, None)\n"
        "    except nst_jax.errors.RequestError as error:\n"
        "        print(error)\n"
    )
    # Without the checks of types that the tests have.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["content", "style", "style"]
    assert all("got str; nst_jax.load_image" in line for line in lines)


def test_importing_the_package_loads_nothing():
    code = "import sys, nst_jax; print({'numpy', 'jax', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_program_as_a_process(job):
    # An encoding as Windows has it, without the letter in the file's name.
    done = subprocess.run(
        program(*job, *SHALLOW, "--output=画.png"),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "compiling ..." in lines
    assert any(line.startswith("step 3/3") for line in lines)
    assert lines[-1].startswith("\\u753b.png: 3 steps")
    assert os.path.exists("画.png")
    # Precision, device and the rest are written as what they were, not as auto.
    text = Path("画.flags").read_text(encoding="utf-8")
    assert "--precision=float32" in text
    assert "--learning_rate=1.0" in text


def test_nobody_needs_to_read_what_it_says(job):
    for arguments, status in ((["--help"], 0), (["--stpes"], 2)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(program(*arguments), stdout=writer, stderr=writer)
        os.close(writer)
        assert done.returncode == status


def test_the_device_that_is_asked_for_does_the_work(job):
    code = (
        "import sys; from nst_jax import run, transfer; whole = transfer.steps\n"
        "def steps(*pictures, **options):\n"
        "    for now in whole(*pictures, **options):\n"
        "        print('on', now.image.devices())\n"
        "        yield now\n"
        "transfer.steps = steps; sys.exit(run.main(sys.argv[1:]))"
    )
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-c", code, *job, *SHALLOW, "--device=cpu:1", "--steps=0"],
        capture_output=True,
        text=True,
        env={**os.environ, **two},
    )
    assert done.returncode == 0, done.stderr
    where = {line for line in done.stdout.splitlines() if line.startswith("on ")}
    assert where == {"on {CpuDevice(id=1)}"}


@posix
def test_an_interrupted_run_keeps_its_picture(job):
    long = [*job, *SHALLOW, "--steps=1000000", "--metrics=m.csv", "--optimizer=adam"]
    with subprocess.Popen(
        program(*long), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            table = Path("m.csv")
            if table.exists() and table.read_text().count("\n") > 3:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    result = images.read("out.png", max_pixels=10**6)
    assert result.pixels.shape == (24, 32, 3)
    assert "--steps=1000000" in images.read_settings("out.png")
