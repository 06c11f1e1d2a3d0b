"""Runs that are started at once: one download for all, and no result lost."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from nst_jax import images
from nst_jax.layers import table
from nst_jax.pretrained.known import KNOWN
from tests.test_pretrained_fetch import send, server

ROOT = Path(__file__).parents[1]
KNOWN_BY = KNOWN["vgg16-caffe"]  # its first numbers: the others may be anything
RUN = """
import dataclasses, sys, urllib.request
sys.path.insert(0, {root!r})
from nst_jax import run
from nst_jax.pretrained import download, known
strict = download._opener
def opener():
    found = strict()
    found.add_handler(urllib.request.HTTPHandler())
    return found
download._opener = opener
row = known.KNOWN["vgg16-caffe"]
file = known.File({size}, {sha256!r})
origin = dataclasses.replace(row.origin, url={url!r}, file=file)
known.KNOWN["vgg16-caffe"] = dataclasses.replace(row, origin=origin)
sys.exit(run.main(sys.argv[1:]))
"""
JOB = (
    *("--content=photo.png", "--style=photo.png", "--size=32", "--device=cpu"),
    *("--content_layers=relu1_1", "--style_layers=relu1_1", "--scales=none"),
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_WEIGHTS", str(tmp_path / "weights"))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return tmp_path


def small_network():
    """A Keras file of a VGG16 that is nearly all zeros, and so takes few bytes."""
    with h5py.File("vgg16.h5", "w") as file:
        for row in table("vgg16"):
            if row.kind != "conv":
                continue
            kernel = np.zeros((3, 3, row.inputs, row.channels), np.float32)
            if row.name == "conv1_1":
                kernel[0, 0, :, 0] = KNOWN_BY.anchor[::-1]
            place = f"block{row.name[4]}_conv{row.name[6]}/x_"
            file.create_dataset(f"{place}W:0", data=kernel, compression="gzip")
            file[f"{place}b:0"] = np.zeros(row.channels, np.float32)
    return Path("vgg16.h5").read_bytes()


def started(code, *flags):
    return subprocess.Popen(
        [sys.executable, "-c", code, *JOB, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ten_runs_without_weights_download_once_and_make_ten_pictures(here):
    content, asked = small_network(), []

    def slow(handler):
        asked.append(1)
        time.sleep(2)  # time for the others to arrive
        send(content)(handler)

    with server(slow) as url:
        sha256 = hashlib.sha256(content).hexdigest()
        code = RUN.format(root=str(ROOT), size=len(content), sha256=sha256, url=url)
        names = [f"out{number}.png" for number in range(10)]
        flags = ("--network=vgg16", "--weights_source=url", "--steps=0")
        runs = [started(code, *flags, f"--output={name}") for name in names]
        said = [each.communicate(timeout=200)[1] for each in runs]
    assert [each.returncode for each in runs] == [0] * 10, said
    assert len(asked) == 1
    assert len({Path(name).read_bytes() for name in names}) == 1 or all(
        np.array_equal(Image.open(names[0]), Image.open(name)) for name in names
    )
    (here / "weights" / "vgg16-caffe.safetensors").unlink()  # 59 MB
    assert os.listdir("weights") == [".vgg16-caffe.lock"]


def test_of_two_runs_to_one_output_one_wins_and_the_other_says_so(here):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nst_jax import run; "
    code += "sys.exit(run.main(sys.argv[1:]))"
    flags = ("--weights=random", "--network=vgg16", "--steps=3", "--init=noise")
    runs = {
        seed: started(code, *flags, f"--seed={seed}", "--output=out.png")
        for seed in (1, 2)
    }
    said = {seed: each.communicate(timeout=100)[1] for seed, each in runs.items()}
    statuses = {seed: each.returncode for seed, each in runs.items()}
    if sorted(statuses.values()) == [0, 2]:  # one was done before the other looked
        (late,) = (seed for seed, status in statuses.items() if status == 2)
        assert "exists already" in said[late]
        return
    assert sorted(statuses.values()) == [0, 1], said
    (first,) = (seed for seed, status in statuses.items() if status == 0)
    assert "another file has the name 'out.png'" in said[3 - first]
    for seed, stem in ((first, "out"), (3 - first, "out-1")):
        assert f"--seed={seed}\n" in images.read_settings(f"{stem}.png")
        assert f"--seed={seed}\n" in Path(f"{stem}.flags").read_text()
