"""Every format gives the same tree, bit for bit; broken and hostile files give none."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import h5py
import numpy as np
import pytest
import scipy.io
from safetensors.numpy import save_file

from nst_jax.errors import RequestError
from nst_jax.pretrained import (
    canonical,
    formats,
    matlab,
    names,
    places,
    recognise,
)
from nst_jax.pretrained.convert import read
from nst_jax.pretrained.known import KNOWN

DIGEST = KNOWN["vgg19-caffe"].digests[0]
# Keras' name of each layer, and its place in torchvision's list.
KERAS = {
    row.name: f"block{row.name[4]}_conv{row.name[6]}"
    for row in canonical.convolutions("vgg19")
}
TORCH = dict(
    zip(
        KERAS, (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), strict=True
    )
)


@pytest.fixture(scope="module")
def true(weights):
    """The true network's arrays, in canonical form."""
    del weights  # what provides the file
    return canonical.read(places.named_file() or places.find("vgg19-caffe")).layers


def bgr(layers):
    kernel, bias = layers["conv1_1"]
    return {**layers, "conv1_1": (np.ascontiguousarray(kernel[:, :, ::-1]), bias)}


# Writers, one for each format; each is given the true arrays, input in RGB order.


def matconvnet(
    path, layers, fields=("weights", "pad", "type", "name", "stride"), packed=False
):
    cells = np.empty((1, 2 * len(layers)), object)
    for index, (name, (kernel, bias)) in enumerate(layers.items()):
        pair = np.empty((1, 2), object)
        pair[0, 0], pair[0, 1] = kernel, bias[None]
        values = {"weights": pair, "name": name, "type": "conv"}
        relu = {"name": name.replace("conv", "relu"), "type": "relu"}
        for place, content in enumerate((values, relu)):
            layer = np.zeros((1, 1), [(field, object) for field in fields])
            for field in fields:
                layer[field][0, 0] = content.get(field, np.ones((1, 2)))
            cells[0, 2 * index + place] = layer
    contents = {"classes": np.ones(3), "layers": cells}
    scipy.io.savemat(path, contents, do_compression=packed)


def matconvnet_later(path, layers):
    matconvnet(path, layers, ("name", "type", "weights", "size", "pad", "stride"))


def matconvnet_packed(path, layers):
    matconvnet(path, layers, packed=True)


def keras(path, layers, root="", top=False):
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in bgr(layers).items():
            group = file.create_group(f"{root}{KERAS[name]}")
            group[f"{KERAS[name]}_W_1:0"] = kernel
            group[f"{KERAS[name]}_b_1:0"] = bias
        if top:
            file[f"{root}fc1/fc1_W_1:0"] = np.zeros((4, 4096), np.float32)
            file["optimizer_weights/block1_conv1/m:0"] = np.zeros(64, np.float32)


def keras_model(path, layers):
    keras(path, layers, "model_weights/", top=True)


def keras_3(path, layers):
    with h5py.File(path, "w") as file:
        for index, (kernel, bias) in enumerate(bgr(layers).values()):
            name = f"conv2d_{index}" if index else "conv2d"
            file[f"layers/{name}/vars/0"] = kernel
            file[f"layers/{name}/vars/1"] = bias
        file["layers/dense/vars/0"] = np.zeros((4, 4096), np.float32)
        file["optimizer/vars/0"] = np.zeros(())


class Storage:
    def __init__(self, array):
        self.array = array


class Tensor:
    """What pickles as a torch tensor does: a view of the numbers in `memory`."""

    def __init__(self, array, memory=None):
        self.array = array
        self.memory = array if memory is None else memory

    def __reduce__(self):
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        storage = Storage(self.memory)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        state = storage, 0, self.array.shape, strides, False, collections.OrderedDict()
        return rebuild, state


class TorchPickler(pickle.Pickler):
    def __init__(self, stream, legacy):
        super().__init__(stream, 2)
        self.storages, self.legacy = [], legacy

    def persistent_id(self, item):
        if not isinstance(item, Storage):
            return None
        self.storages.append(item.array)
        key = str(len(self.storages) - 1)
        pid = "storage", sys.modules["torch"].FloatStorage, key, "cpu", item.array.size
        return (*pid, None) if self.legacy else pid


@pytest.fixture
def torch_names(monkeypatch):
    """Modules of torch's names, so that pickle writes them; torch is not needed."""

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is pickled")

    class FloatStorage:
        pass

    for module, item in (("torch", FloatStorage), ("torch._utils", _rebuild_tensor_v2)):
        stub = types.ModuleType(module)
        item.__module__, item.__qualname__ = module, item.__name__
        setattr(stub, item.__name__, item)
        monkeypatch.setitem(sys.modules, module, stub)


def state_dict(layers):
    tensors = collections.OrderedDict()
    for name, (kernel, bias) in bgr(layers).items():
        view = kernel.transpose(3, 2, 0, 1)
        # One tensor in another memory format, as torch may save it.
        tensors[f"features.{TORCH[name]}.weight"] = (
            Tensor(view, kernel)
            if name == "conv2_1"
            else Tensor(np.ascontiguousarray(view))
        )
        tensors[f"features.{TORCH[name]}.bias"] = Tensor(bias)
    tensors["classifier.0.weight"] = Tensor(np.zeros((4096, 2), np.float32))
    tensors._metadata = {"": {"version": 1}}
    return tensors


def torch_zip(path, layers):
    stream = io.BytesIO()
    pickler = TorchPickler(stream, legacy=False)
    pickler.dump(state_dict(layers))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vgg19/data.pkl", stream.getvalue())
        for key, array in enumerate(pickler.storages):
            archive.writestr(f"vgg19/data/{key}", array.tobytes())


def torch_legacy(path, layers):
    with path.open("wb") as file:
        for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(head, file, 2)
        pickler = TorchPickler(file, legacy=True)
        pickler.dump(state_dict(layers))
        # Written in another order than met: the keys say which is which.
        order = list(enumerate(pickler.storages))[::-1]
        pickle.dump([str(key) for key, _ in order], file, 2)
        for _, array in order:
            file.write(array.size.to_bytes(8, "little") + array.tobytes())


def npz_frossard(path, layers):
    arrays = {}
    for name, (kernel, bias) in layers.items():
        arrays[f"{name}_W"], arrays[f"{name}_b"] = kernel, bias
    np.savez(path, fc6_W=np.zeros((4, 4096)), **arrays)


def safetensors_torch(path, layers):
    tensors = {}
    for name, (kernel, bias) in bgr(layers).items():
        oihw = kernel.transpose(3, 2, 0, 1)
        tensors[f"{name}.weight"] = np.ascontiguousarray(oihw)
        tensors[f"{name}.bias"] = bias
    save_file(tensors, path)


def flax_pickle(path, layers):
    convolutions = {
        f"Conv_{index}": {"kernel": kernel, "bias": bias}
        for index, (kernel, bias) in enumerate(layers.values())
    }
    # One in another memory order, as `jax.device_get` may leave it.
    convolutions["Conv_2"]["kernel"] = np.asfortranarray(layers["conv2_1"][0])
    linear = {"Conv_0": {"kernel": np.zeros((1, 1, 64, 1), np.float32)}}
    tree = {"VGG19_0": convolutions, "NetLinLayer_0": linear}
    path.write_bytes(pickle.dumps(tree, 3))


WRITERS = (
    flax_pickle,
    matconvnet,
    matconvnet_later,
    matconvnet_packed,
    keras,
    keras_model,
    keras_3,
    torch_zip,
    torch_legacy,
    npz_frossard,
    safetensors_torch,
)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_format_gives_the_same_tree_whatever_the_name(
    write, true, tmp_path, torch_names
):
    path = tmp_path / ("weights.npz" if write is npz_frossard else "weights.unknown")
    write(path, true)
    found = read(path)
    truncated = tmp_path / "truncated"
    truncated.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    path.unlink()  # 80 MB each, and pytest keeps folders
    assert (found.name, found.digest) == ("vgg19-caffe", DIGEST)
    with pytest.raises(RequestError, match=r"damaged|expected") as refused:
        read(truncated)
    truncated.unlink()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 200, b"\x89HDF\r\n\x1a\n", b"PK\x03\x04" + b"x" * 99]
)
def test_files_that_are_no_weights_are_refused(content, tmp_path):
    path = tmp_path / "a\nb.h5"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"a\\nb\.h5") as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    for path, found in ((tmp_path, "a folder"), (tmp_path / "none.h5", "nothing")):
        with pytest.raises(RequestError, match=f"found {found}"):
            read(path)


# Numbers that are wrong, without files.


def identify(layers, **described):
    return recognise.canonical("vgg19", layers, "here", "", **described)


def test_both_orders_of_a_known_network_are_understood(true):
    for layers in (true, bgr(true)):
        found = identify(layers)
        assert (found.name, found.digest) == ("vgg19-caffe", DIGEST)


def permuted_input(layers):
    kernel, bias = layers["conv1_1"]
    return "conv1_1", (kernel[:, :, [1, 0, 2]], bias)


def permuted_output(layers):
    kernel, bias = layers["conv1_1"]
    return "conv1_1", (np.roll(kernel, 1, axis=3), np.roll(bias, 1))


def permuted_bias(layers):
    kernel, bias = layers["conv3_4"]
    return "conv3_4", (kernel, bias[::-1])


def turned(layers):
    kernel, bias = layers["conv1_1"]
    return "conv1_1", (kernel[::-1, ::-1], bias)


def permuted_inside(layers):
    kernel, bias = layers["conv5_4"]
    return "conv5_4", (kernel[:, :, ::-1], bias)


@pytest.mark.parametrize(
    "permute", [permuted_input, permuted_output, permuted_bias, turned, permuted_inside]
)
def test_a_known_network_in_another_order_is_refused_with_its_layer(permute, true):
    name, pair = permute(true)
    described = {"channel_order": "rgb", "preprocessing": "caffe"}
    for options in ({}, described):
        with pytest.raises(RequestError, match=f"layer {name}: .* permuted"):
            identify({**true, name: pair}, **options)


@pytest.mark.parametrize("name", ["vgg16-caffe", "vgg19-torchvision"])
def test_a_network_known_by_its_anchor_alone_is_recognised_in_both_orders(name, true):
    row = KNOWN[name]
    wanted = {layer.name for layer in canonical.convolutions(row.network)}
    layers = {key: pair for key, pair in true.items() if key in wanted}
    kernel, bias = (array.copy() for array in layers["conv1_1"])
    kernel[0, 0, :, 0] = np.round(np.array(row.anchor) + 4e-6, 6)
    layers["conv1_1"] = kernel, bias
    for order in (layers, bgr(layers)):
        found = recognise.canonical(row.network, order, "here", "")
        assert (found.name, found.input_range) == (name, row.input_range)
        np.testing.assert_array_equal(found.layers["conv1_1"][0], kernel)
    layers["conv1_1"] = kernel[:, :, [2, 0, 1]], bias
    with pytest.raises(RequestError, match=r"conv1_1: .* permuted"):
        recognise.canonical(row.network, layers, "here", "")


def test_one_other_number_makes_it_unknown_and_the_layer_is_named(true):
    kernel, bias = (array.copy() for array in true["conv3_1"])
    kernel[1, 1, 5, 7] += 1e-3
    changed = {**bgr(true), "conv3_1": (kernel, bias)}
    with pytest.raises(RequestError, match=r"conv3_1 is not vgg19-caffe's.*--channel"):
        identify(changed)
    found = identify(changed, channel_order="bgr", preprocessing="torchvision")
    assert found.name == "unknown"
    assert found.input_range.scale == 1
    np.testing.assert_array_equal(found.layers["conv1_1"][0], true["conv1_1"][0])


def entries(layers, rename=lambda name: name):
    return {
        f"{rename(name)}.{part}": names.Entry(array.shape, lambda array=array: array)
        for name, pair in layers.items()
        for part, array in zip(("kernel", "bias"), pair, strict=True)
    }


def test_wrong_numbers_are_refused_with_their_layer(true):
    kernel, bias = true["conv4_2"]
    spoilt = kernel.copy()
    spoilt[2, 2, 511, 511] = np.nan
    huge = kernel.astype(np.float64)
    huge[0, 0, 0, 0] = 1e200
    cases = {
        "NaN or infinity": (spoilt, bias),
        "infinity": (huge, bias),
        "expected a kernel": (kernel[:, :, :100], bias),
        "and a bias": (kernel, bias[:-1]),
        "floating point": (kernel.astype(np.int32), bias),
    }
    for message, pair in cases.items():
        with pytest.raises(RequestError, match=f"layer conv4_2: .*{message}"):
            names.pick(entries({**true, "conv4_2": pair}))


def test_incomplete_and_strange_networks_are_refused(true):
    most = {name: pair for name, pair in true.items() if name != "conv5_4"}
    with pytest.raises(RequestError, match=r"missing: conv5_4"):
        names.pick(entries(most))
    with pytest.raises(RequestError, match=r"not of this network: conv5_9|found 0"):
        names.pick(entries({"conv5_9": true["conv5_4"]}))
    # Batch normalisation has one-dimensional arrays under indices of their own.
    normal = entries(true, lambda name: f"features.{3 * TORCH[name]}")
    normal = {name.replace("kernel", "weight"): e for name, e in normal.items()}
    for name in TORCH.values():
        normal[f"features.{3 * name + 1}.weight"] = names.Entry((64,), lambda: None)
    with pytest.raises(RequestError, match="without batch normalisation"):
        names.pick(normal)


# Files that mean harm.


class Array:
    """What pickles as an array does, with a state of the test's own."""

    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        rebuild, arguments, _ = np.zeros(1, np.float32).__reduce__()
        return rebuild, arguments, self.state


FLOATS = np.dtype(np.float32)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Array(1, (64,), FLOATS, False, bytes(12)), "12 bytes for the shape"),
        (Array(1, (1 << 40, 64), FLOATS, False, bytes(12)), "12 bytes for the shape"),
        (Array(1, (-1, -3), FLOATS, False, bytes(12)), "a shape that is none"),
        (Array(1, (True, 3), FLOATS, False, bytes(12)), "a shape that is none"),
        (Array(1, (3,), np.dtype("<i4"), False, bytes(12)), "numbers of another kind"),
        (Array(1, (3,), 5, False, bytes(12)), "an array in another form"),
        (Array(1, (1,), np.dtype(object), False, [1]), "an array in another form"),
        (FLOATS, "an array in another form"),
    ],
)
def test_an_array_that_lies_in_a_pickle_is_refused(item, message, tmp_path):
    path = tmp_path / "lies.ckpt"
    tree = {"Conv_0": {"kernel": item}}
    path.write_bytes(pickle.dumps(tree, 3))
    with pytest.raises(RequestError, match=message) as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_a_dictionary_inside_itself_is_no_endless_loop(tmp_path):
    tree = {}
    tree["Conv_0"] = tree
    (tmp_path / "loop.ckpt").write_bytes(pickle.dumps(tree, 3))
    with pytest.raises(RequestError, match="in several places"):
        read(tmp_path / "loop.ckpt")


def test_an_array_s_holder_takes_no_code(tmp_path):
    # BUILD with a dictionary, where the state of an array belongs.
    harm = (
        b"\x80\x03}X\x01\x00\x00\x00aq\x00cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R"
        b"}X\x0c\x00\x00\x00__setstate__cnumpy\ndtype\nsbs."
    )
    (tmp_path / "harm.ckpt").write_bytes(harm)
    with pytest.raises(RequestError, match="in another form"):
        read(tmp_path / "harm.ckpt")


def test_code_among_arrays_never_runs(tmp_path):
    trace = tmp_path / "trace"

    class Harm:
        def __reduce__(self):
            return open, (str(trace), "w")

    path = tmp_path / "harm.ckpt"
    tree = {"Conv_0": {"kernel": np.zeros(3, np.float32), "bias": Harm()}}
    path.write_bytes(pickle.dumps(tree, 3))
    with pytest.raises(RequestError, match="may not bring code"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_pickle_never_runs(protocol, legacy, tmp_path):
    trace = tmp_path / "trace"

    class Harm:
        def __reduce__(self):
            return open, (str(trace), "w")

    path = tmp_path / "harm.pth"
    if legacy:
        with path.open("wb") as file:
            for item in (0x1950A86A20F9469CFC6C, 1001, {}):
                pickle.dump(item, file, 2)
            pickle.dump({"features.0.weight": Harm()}, file, protocol)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", pickle.dumps(Harm(), protocol))
    with pytest.raises(RequestError, match="may not bring code"):
        read(path)
    assert not trace.exists()


def test_a_pickle_in_an_npz_is_not_loaded(true, tmp_path):
    trace = tmp_path / "trace"

    class Harm:
        def __reduce__(self):
            return open, (str(trace), "w")

    harm = np.empty((3, 3, 3, 64), object)
    harm[0, 0, 0, 0] = Harm()
    path = tmp_path / "harm.npz"
    arrays = {f"{name}_b": bias for name, (_, bias) in true.items()}
    small = {
        f"{name}_W": np.zeros(kernel.shape, np.float16)
        for name, (kernel, _) in true.items()
    }
    np.savez(path, **{**arrays, **small, "conv1_1_W": harm})
    with pytest.raises(RequestError, match="may not bring objects"):
        read(path)
    path.unlink()
    assert not trace.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "exhausted"),
        (b"\x80\x02X\xff\xff\xff\x7f.", "damaged"),
        (b"\x80\x03}r\xff\xff\xff\x7f.", "found 0 layers"),
        (b"\x80\x03}B\xff\xff\xff\x7f.", "damaged"),
    ],
)
def test_a_pickle_that_lies_about_sizes_costs_no_memory(program, message, tmp_path):
    path = tmp_path / "bomb.pth"
    path.write_bytes(program)
    with pytest.raises(RequestError, match=message):
        read(path)


def test_storages_that_lie_about_sizes_are_refused(tmp_path, torch_names):
    layers = {
        row.name: (
            np.zeros((3, 3, row.inputs, row.channels), np.float32),
            np.zeros(row.channels, np.float32),
        )
        for row in canonical.convolutions("vgg19")
    }
    stream = io.BytesIO()
    TorchPickler(stream, legacy=False).dump(state_dict(layers))
    path = tmp_path / "short.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", stream.getvalue())
        archive.writestr("x/data/0", b"1234")
    with pytest.raises(RequestError, match=r"6912 bytes in storage '0', found 4"):
        read(path)


def test_an_array_header_that_lies_is_refused_before_anything_is_read(tmp_path):
    path = tmp_path / "lie.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name in KERAS:
            archive.writestr(f"{name}_W.npy", header.getvalue())
            archive.writestr(f"{name}_b.npy", header.getvalue())
    with pytest.raises(RequestError, match=r"layer conv1_1: expected a kernel"):
        read(path)


def matlab_element(order, kind, data):
    padding = bytes(-len(data) % 8)
    return struct.pack(f"{order}II", kind, len(data)) + data + padding


def matlab_matrix(order, of, shape, name, *rest):
    flags = matlab_element(order, 6, struct.pack(f"{order}II", of, 0))
    sides = struct.pack(f"{order}{len(shape)}i", *shape)
    parts = (flags, matlab_element(order, 5, sides), matlab_element(order, 1, name))
    return matlab_element(order, 14, b"".join((*parts, *rest)))


@pytest.mark.parametrize(("order", "mark"), [("<", b"\0\1IM"), (">", b"\1\0MI")])
def test_matlab_s_two_byte_orders_and_its_short_numbers(order, mark, tmp_path):
    numbers = matlab_element(order, 4, struct.pack(f"{order}6H", *range(6)))
    array = matlab_matrix(order, 6, (2, 3, 1), b"", numbers)
    weights = matlab_matrix(order, 1, (1, 1), b"", array)
    letters = matlab_element(order, 16, b"conv1_1")
    name = matlab_matrix(order, 4, (1, 7), b"", letters)
    width = matlab_element(order, 5, struct.pack(f"{order}i", 8))
    names = matlab_element(order, 1, b"weights\0name\0\0\0\0")
    layer = matlab_matrix(order, 2, (1, 1), b"", width, names, weights, name)
    other = matlab_matrix(order, 6, (0, 0), b"before")
    layers = matlab_matrix(order, 1, (1, 1), b"layers", layer)
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + mark + other + layers)
    with matlab.entries(path) as found:
        (entry,) = found.values()
        assert list(found) == ["conv1_1.0"]
        assert entry.shape == (2, 3, 1)
        array = entry.load()
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array[..., 0], [[0, 2, 4], [1, 3, 5]])


@pytest.mark.parametrize("kind", ["external storage", "virtual", "link"])
def test_hdf5_never_reads_another_file(kind, true, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = true["conv1_1"][0]
    path = tmp_path / "outside.h5"
    shapes = {name: (k.shape, b.shape) for name, (k, b) in true.items()}
    with h5py.File(path, "w") as file:
        for name, pair in shapes.items():
            for part, shape in zip(("W", "b"), pair, strict=True):
                place = f"{KERAS[name]}/{KERAS[name]}_{part}:0"
                if (name, part) != ("conv1_1", "W"):
                    file.create_dataset(place, shape, "f4")  # all zeros, no bytes
                elif kind == "link":
                    file[place] = h5py.ExternalLink(str(secret), "kernel")
                elif kind == "virtual":
                    layout = h5py.VirtualLayout(shape, "f4")
                    layout[...] = h5py.VirtualSource(str(secret), "kernel", shape)
                    file.create_virtual_dataset(place, layout)
                else:
                    outside = [(str(secret), 0, h5py.h5f.UNLIMITED)]
                    file.create_dataset(place, shape, "f4", external=outside)
    expected = "and a bias" if kind == "link" else "found them in another file"
    with pytest.raises(RequestError, match=expected):
        read(path)


def test_files_larger_than_any_network_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "MAX_BYTES", 10)
    path = tmp_path / "large.h5"
    path.write_bytes(b"x" * 11)
    with pytest.raises(RequestError, match="found 11 bytes"):
        read(path)
