"""The commands: `python -m nst_jax.pretrained` and scripts/convert_weights.py."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from nst_jax import pretrained
from nst_jax.pretrained import canonical, perceptual, places
from nst_jax.pretrained.__main__ import main
from nst_jax.pretrained.known import KNOWN

ROOT = pathlib.Path(__file__).parents[1]
ROW = KNOWN["vgg19-caffe"]


@pytest.fixture(scope="module")
def npz(weights, tmp_path_factory):
    """The true network, and one with another number, as plain archives."""
    del weights  # what provides the numbers
    layers = canonical.read(places.named_file() or places.find(ROW.name)).layers
    arrays = {f"{name}_W": kernel for name, (kernel, _) in layers.items()}
    arrays |= {f"{name}_b": bias for name, (_, bias) in layers.items()}
    folder = tmp_path_factory.mktemp("npz")
    np.savez(folder / "true.npz", **arrays)
    np.savez(folder / "other.npz", **{**arrays, "conv5_1_b": layers["conv5_2"][1]})
    yield folder
    for path in folder.iterdir():
        path.unlink()


def fails(arguments, capsys, *parts):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err


def test_names_that_are_too_long_are_answered(capsys, monkeypatch, tmp_path):
    name = "a" * 5000
    target = f"--output={tmp_path / 'out.safetensors'}"
    fails(["convert", f"--input={name}", target], capsys, "too long")
    monkeypatch.setenv("NST_JAX_WEIGHTS", name)
    assert main(["list"]) == 0
    assert "vgg19-caffe" in capsys.readouterr().out


def test_a_known_network_is_converted_and_never_overwritten(npz, tmp_path, capsys):
    target = tmp_path / "out.safetensors"
    arguments = ["convert", f"--input={npz / 'true.npz'}", f"--output={target}"]
    assert main([*arguments, "--channel_order=bgr"]) == 0  # its numbers are believed
    assert f"vgg19-caffe (vgg19)  {target}" in capsys.readouterr().out
    assert canonical.read(target).digest == ROW.digests[0]
    fails(arguments, capsys, "exists already", "--overwrite")
    assert main([*arguments, "--overwrite"]) == 0
    capsys.readouterr()
    fails([*arguments, "--overwrite", "--network=vgg16"], capsys, "found vgg19")
    target.unlink()


def test_an_unknown_network_must_be_described(npz, tmp_path, capsys):
    target = tmp_path / "out.safetensors"
    arguments = ["convert", f"--input={npz / 'other.npz'}", f"--output={target}"]
    fails(arguments, capsys, "conv5_1", "--channel_order", "--preprocessing")
    assert not target.exists()
    assert main([*arguments, "--channel_order=rgb", "--preprocessing=caffe"]) == 0
    assert "warning" in capsys.readouterr().err
    assert canonical.read(target).name == "unknown"
    target.unlink()


def test_wrong_requests_get_one_line(npz, tmp_path, capsys):
    given = f"--input={npz / 'true.npz'}"
    fails(["convert", given, f"--output={tmp_path}/x.npz"], capsys, "NAME.safetensors")
    fails(["convert", given, f"--output={tmp_path}/no/x.safetensors"], capsys, "folder")
    fails(["convert", given], capsys, "--output")
    fails(["convert", given, "--outptu=x"], capsys, "--help")
    fails(["fetch", "vgg19-cafe"], capsys, "did you mean vgg19-caffe")
    fails(["fetch", "vgg16-cafe"], capsys, "'vgg16-cafe'", "lpips-vgg16")
    for command in ("fetch", "verify"):
        fails([command, "random"], capsys, "choose of vgg19-caffe, ", "lpips-vgg16\n")
    fails(["fetch", "vgg19-normalised"], capsys, "scripts/rescale_weights.py")
    fails([], capsys, "command")
    fails(["verify", "vgg19-x"], capsys, "vgg19-x")


def test_list_names_everything_and_its_licence(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    origins = [*(row.origin for row in KNOWN.values()), perceptual.ORIGIN]
    assert [line.split()[0] for line in lines] == [each.name for each in origins]
    assert all(each.licence in line for each, line in zip(origins, lines, strict=True))


def test_verify_sees_a_changed_file(tmp_path, monkeypatch, weights, capsys):
    data = bytearray((places.named_file() or places.find(ROW.name)).read_bytes())
    monkeypatch.setenv(places.VARIABLE, str(tmp_path))
    monkeypatch.setattr(places, "folders", lambda: (tmp_path,))
    fails(["verify", ROW.name], capsys, "fetch vgg19-caffe")
    copy = tmp_path / "vgg19-caffe.safetensors"
    copy.write_bytes(data)
    assert main(["verify"]) == 0
    assert ROW.digests[0] in capsys.readouterr().out
    data[len(data) // 2] ^= 128
    copy.write_bytes(data)
    fails(["verify"], capsys, "was changed")
    (tmp_path / "vgg19-caffe.safetensors").unlink()


@pytest.mark.parametrize(
    ("source", "doubts"),
    [("vgg19-caffe, rescaled to a mean activation of 1", 0), ("mine.h5", 1)],
)
def test_a_rescaled_network_is_no_stranger(source, doubts, monkeypatch):
    known = pretrained._random("vgg19", 0)
    other = known._replace(name="unknown", source=source)
    monkeypatch.setattr(pretrained, "_read", lambda path: other)
    said = []
    pretrained.load("vgg19", "mine.safetensors", announce=said.append)
    assert len(said) == doubts


def test_the_script_is_the_same_command(tmp_path):
    ran = subprocess.run(
        [
            sys.executable,
            ROOT / "scripts/convert_weights.py",
            "--input=x",
            "--output=y",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "safetensors" in ran.stderr
