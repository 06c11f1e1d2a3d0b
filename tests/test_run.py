"""The command line, from arguments to files and exit status."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_jax import images, run

FAST = ("--weights=random", "--size=32", "--steps=3", "--log_every=2", "--device=cpu")


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
    extra = ("--metrics=m.csv", "--save_every=1", "--preview=look.jpg")
    assert run.main([*job, *extra]) == 0
    said = capsys.readouterr()
    first = said.out.splitlines()[0]
    for word in ("CPU", "float32", "vgg19", "random weights", "32x24", "3 steps"):
        assert word in first
    assert sorted(os.listdir()) == [
        "look.jpg",
        "m.csv",
        "out.flags",
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
    assert run.main([*job, "--init=noise", "--seed=7", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    first = np.asarray(Image.open("out.png"))
    assert run.main(["--flagfile=out.flags", "--output=again.png"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("again.png")), first)
    source = [argument for argument in job if argument[:5] in ("--con", "--sty")]
    arguments = ["--from=out.png", "--output=from.png", *source]
    assert run.main(arguments) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("from.png")), first)
    other = ["--from=out.png", "--seed=8", "--output=other.png", *source]
    assert run.main(other) == 0
    assert (np.asarray(Image.open("other.png")) != first).any()
    assert os.path.dirname(job[0][10:]) not in images.read_settings("out.png")


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
    pixels = np.asarray(Image.open(folder / "photo.png"))
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :40] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save("clear.png")
    job[0] = "--content=clear.png"
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


WRONG = {
    "--stpes=3": "did you mean --steps",
    "picture.jpg": "unexpected argument 'picture.jpg'",
    "--content=missing.jpg": "'missing.jpg' does not exist",
    "--content=.": "is a folder",
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
    "--output=there.png": "is there already",
    "--bit_depth=16": None,
    "--steps=-1": "--steps must be at least 0, got -1",
    "--content_weight=nan": "--content_weight must be",
    "--style_weight=-3": "--style_weight must be",
    "--learning_rate=inf": "--learning_rate must be",
    "--style_weights=1,2": "style_weights must have one value",
    "--style_scale=1,2,3": "style_scale must have one value",
    "--size=15": "at least 16",
    "--max_pixels=100": "100",
    "--device=gpu:9": "device gpu:9 is not there",
    "--device=npu": "device must be",
    "--init=missing.png": "'missing.png', which does not exist",
    "--weights=text.png": "text.png",
    "--weights=missing.safetensors": "missing.safetensors",
    "--weights=pickle.pth": "pickle.pth",
    "--metrics=missing/m.csv": "missing",
    "--metrics=there.png": "is there already",
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
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "there.png").write_bytes(whole)
    (tmp_path / "pickle.pth").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")


@pytest.mark.parametrize("wrong", [name for name in WRONG if WRONG[name]])
def test_wrong_requests_are_answered_in_one_line(job, litter, capsys, wrong):
    line = refused(capsys, [*job, *wrong.split(" ")])
    assert WRONG[wrong] in line


def test_inputs_are_never_written_over(job, litter, capsys):
    arguments = [*job, "--content=there.png", "--output=there.png", "--overwrite"]
    assert "would be written over the content" in refused(capsys, arguments)


def test_16_bits_need_a_format_that_has_them(job, capsys):
    arguments = [*job, "--output=out.jpg", "--bit_depth=16"]
    assert "16" in refused(capsys, arguments)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may do all")
def test_folders_and_files_without_permission(job, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in refused(capsys, [*job, "--output=locked/out.png"])
    secret = tmp_path / "secret.png"
    secret.touch(mode=0o000)
    assert "secret" in refused(capsys, [*job, "--content=secret.png"])


def test_overwrite_replaces(job):
    assert run.main(job) == 0
    assert run.main(job) == 2
    assert run.main([*job, "--overwrite"]) == 0


def test_a_divergence_ends_with_1_and_the_last_good_image(job, capsys):
    wild = ("--optimizer=sgd", "--learning_rate=1e30", "--box=none")
    assert run.main([*job, *wild]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2  # random weights are announced
    assert "stopped being finite after step 0" in said[1]
    content = images.read(job[0].partition("=")[2], max_pixels=10**6)
    start = images.resize(content.pixels, (24, 32), filter="lanczos")
    kept = images.read("out.png", max_pixels=10**6)
    np.testing.assert_allclose(kept.pixels, start, atol=0.51 / 255)


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
    code = (
        "import sys; from nst_jax import run; status = run.main(sys.argv[1:]); "
        "heavy = {'jax', 'flax', 'optax', 'h5py'} & set(sys.modules); "
        "print(status, sorted(heavy))"
    )
    for wrong in ("--stpes=3", "--content=missing.jpg", "--output=missing/a.png"):
        done = subprocess.run(
            [sys.executable, "-c", code, *job, wrong], capture_output=True, text=True
        )
        assert done.stdout == "2 []\n"


def test_importing_the_package_loads_nothing():
    code = "import sys, nst_jax; print({'numpy', 'jax', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_program_as_a_process(job):
    done = subprocess.run(program(*job), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "compiling ..." in lines
    assert any(line.startswith("step 3/3") for line in lines)
    assert lines[-1].startswith("out.png: 3 steps")
    assert os.path.exists("out.png")
    # Precision, device and the rest are written as what they were, not as auto.
    text = Path("out.flags").read_text()
    assert "--precision=float32" in text
    assert "--learning_rate=1.0" in text


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_an_interrupted_run_keeps_its_picture(job, number, status):
    long = [*job, "--steps=1000000", "--metrics=m.csv", "--optimizer=adam"]
    with subprocess.Popen(
        program(*long), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            table = Path("m.csv")
            if table.exists() and table.read_text().count("\n") > 3:
                break
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert "interrupted" in said
    assert "Traceback" not in said
    result = images.read("out.png", max_pixels=10**6)
    assert result.pixels.shape == (24, 32, 3)
    assert "--steps=1000000" in images.read_settings("out.png")
