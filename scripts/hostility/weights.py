"""Hostile weights files: each format cut, changed, lying, and with code in it."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from safetensors.numpy import save

from hostility import arrays, hdf5
from hostility.cases import Case, broken


def cases() -> Iterator[Case]:
    """All of them."""
    for index, (name, make) in enumerate(WRITERS.items()):
        data = make()
        yield Case(f"{name}, a few arrays", "weights", data)
        yield from broken(name, "weights", data, 12, 24, index)
    yield from (Case(name, "weights", data) for name, data in _programs())
    for name, make in {**_ZIPS, **_SAFETENSORS, **_MATLAB}.items():
        yield Case(name, "weights", make)
    bait = {"secret.h5": hdf5.made(hdf5.secret)}
    for name, make in hdf5.FILES.items():
        yield Case(name, "weights", make, beside=bait)


# Each format as programs write it, small.


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays.few())
    return stream.getvalue()


def _keras(file: Any) -> None:
    for name, array in arrays.few().items():
        file[f"block1_{name}/{name}:0"] = array


def _packed(file: Any) -> None:
    for name, array in arrays.few().items():
        file.create_dataset(name, data=array, compression="gzip", shuffle=True)


def _safetensors() -> bytes:
    return bytes(save(arrays.few(), {"format": "pt"}))


def _canonical(**changed: str) -> bytes:
    said = {
        "format": "nst_jax weights 1",
        "network": "vgg16",
        "name": "unknown",
        "preprocessing": json.dumps(
            {"scale": 1.0, "mean": [0.5] * 3, "std": [1.0] * 3}
        ),
        "licence": "none",
        "source": "x",
        "source_sha256": "0" * 64,
        "digest": "0" * 64,
    }
    kept = {name: text for name, text in (said | changed).items() if text != "none"}
    return bytes(save(arrays.few(), kept))


WRITERS: dict[str, Callable[[], bytes]] = {
    "npz": _npz,
    "h5": lambda: hdf5.made(_keras),
    "h5 packed": lambda: hdf5.made(_packed),
    "safetensors": _safetensors,
    "canonical": _canonical,
    "mat": lambda: arrays.matlab(arrays.few()),
    "mat packed": lambda: arrays.matlab(arrays.few(), packed=True),
    "pth": lambda: arrays.torch_zip(arrays.few()),
    "pth of old": lambda: arrays.torch_legacy(arrays.few()),
    "ckpt": lambda: pickle.dumps({"Conv_0": arrays.few()}, 3),
}

# Pickles with code.


class _Calls:
    """What calls a function when it is unpickled."""

    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> Any:
        return self.what[0], self.what[1:]


def _second(part: Any) -> bytes:
    return pickle.dumps(part, 2)


def _programs() -> Iterator[tuple[str, bytes]]:
    opens = _Calls(open, "ran", "w")
    runs = _Calls(exec, "open('ran', 'w')")
    for protocol in range(2, 6):
        for what, harm in (("open", opens), ("exec", runs)):
            body = pickle.dumps({"conv1_1.weight": harm}, protocol)
            yield (
                f"{what} in a zip, protocol {protocol}",
                arrays.zipped({"a/data.pkl": body}),
            )
            yield f"{what} in a pickle, protocol {protocol}", body
            old = b"".join(map(_second, (0, 1, {}))) + body
            yield f"{what} in an old file, protocol {protocol}", old
    stream = io.BytesIO()
    harmful = np.empty(3, object)
    harmful[0] = opens
    np.savez(stream, conv1_1_W=harmful)
    yield "open in an npz", stream.getvalue()
    start = b"\x80\x02}"
    for name, body in {
        "INST": b"(S'ran'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'touch ran'\no.",
        "STACK_GLOBAL": b"\x8c\x02os\x8c\x06system\x93\x8c\x09touch ran\x85R.",
        "NEWOBJ": b"csubprocess\nPopen\n\x8c\x09touch ran\x85\x81.",
        "EXT1": b"\x82\x01.",
        "PERSID": b"Pran\n.",
        "BUILD": b"ccollections\nOrderedDict\n)R}U\x0c__setstate__cos\nsystem\nsb.",
        "dotted name": b"ccollections\nOrderedDict.__init__\n.",
        "two lines in a name": b"ccollections\nOrderedDict\n\n.",
        "a key that takes for ever": b"K\1q\0" + b"h\0h\0\x86q\0" * 60 + b"K\0s.",
        "a dictionary in itself": b"q\0U\1ah\0s.",
        "a deep list": b"]" * 100_000 + b".",
        "many marks": b"(" * 100_000 + b"t.",
        "large numbers": b"\x8a\xff" + b"\xff" * 255 + b".",
        "a text of 2 GB": b"X\xff\xff\xff\x7f.",
        "no end": b"K\1",
        "an empty stack": b"0000R.",
    }.items():
        yield f"{name} in a zip", arrays.zipped({"a/data.pkl": start + body})
        yield f"{name} in a pickle", b"\x80\x03}" + body
    many = {hash_ * (2**61 - 1): 0 for hash_ in range(1, 30_000)}
    yield "keys of one hash", pickle.dumps({"Conv_0": many}, 3)
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"x" * 90: deep}
    yield "deep dictionaries", pickle.dumps(deep, 3)


# Archives that lie.


def _member(data: Callable[[], bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    return arrays.zipped({"conv1_1_W.npy": data()}, kind)


def _npy(descr: str, shape: str, body: bytes = b"") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    head = head.ljust(-(-(len(head) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + body


_ZIPS: dict[str, Callable[[], bytes]] = {
    "npy with a header of 2 GB": lambda: _member(
        lambda: b"\x93NUMPY\2\0\xff\xff\xff\x7f" + bytes(600 << 20)
    ),
    "npy of a huge shape": lambda: _member(lambda: _npy("'<f4'", f"({2**40}, 9)")),
    "npy of huge numbers": lambda: _member(
        lambda: _npy("'V500000000'", "(64,)", bytes(500 << 20))
    ),
    "npy of objects": lambda: _member(lambda: _npy("'O'", "(64,)", b"cos\nsystem\n")),
    "npy with code in its header": lambda: _member(
        lambda: _npy("__import__('os').system('touch ran')", "(64,)")
    ),
    "npy of deep brackets": lambda: _member(lambda: _npy("(" * 9000, "(64,)")),
    "npy of a negative shape": lambda: _member(lambda: _npy("'<f4'", "(-1, -64)")),
    "zip by lzma": lambda: _member(lambda: bytes(100 << 20), zipfile.ZIP_LZMA),
    "zip by bzip2": lambda: _member(lambda: bytes(9 << 20), zipfile.ZIP_BZIP2),
    "zip with a way out": lambda: arrays.zipped(
        {"../../ran.npy": b"", "/ran.npy": b""}
    ),
    "zip with two pickles": lambda: arrays.zipped(
        {"a/data.pkl": b".", "b/data.pkl": b"."}
    ),
    "zip with a large pickle": lambda: arrays.zipped(
        {"a/data.pkl": bytes(600 << 20)}, zipfile.ZIP_DEFLATED
    ),
    "zip of 60000 members": lambda: arrays.zipped(
        {f"{i}.npy": b"" for i in range(60_000)}
    ),
    "zip that is empty": lambda: arrays.zipped({}),
}

# Safetensors and MATLAB.


def _with_header(header: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header


def _tensors(*offsets: int) -> bytes:
    entry = {"dtype": "F32", "shape": [2**30], "data_offsets": list(offsets)}
    return json.dumps({"conv1_1.weight": entry}).encode()


_SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "safetensors with a header of 2^63": lambda: _with_header(b"{}", 2**63),
    "safetensors with a header of 90 MB": lambda: _with_header(b"{", 90 << 20),
    "safetensors of deep JSON": lambda: _with_header(b'{"a":' * 20_000),
    "safetensors beyond its end": lambda: _with_header(_tensors(0, 2**32)),
    "safetensors with offsets that overflow": lambda: _with_header(
        _tensors(0, 2**64 - 1)
    ),
    "safetensors with negative offsets": lambda: _with_header(_tensors(-4, 0)),
    "safetensors without UTF-8": lambda: _with_header(b'{"\xff\xfe":1}'),
    "canonical without a digest": lambda: _canonical(digest="none"),
    "canonical with two lines": lambda: _canonical(name="vgg19-caffe", digest="a\nb"),
    "canonical of no network": lambda: _canonical(network="a\nb\x1b[31m"),
    "canonical with deep JSON": lambda: _canonical(preprocessing="[" * 9999),
    "canonical with NaN": lambda: _canonical(preprocessing='{"scale": NaN}'),
}

_MATLAB: dict[str, Callable[[], bytes]] = {
    "mat of 1000 MB of zeros": lambda: arrays.packed_desert(1000),
    "mat of 100000 cells in each other": lambda: arrays.nested(100_000),
    "mat of a huge cell": lambda: arrays.cell_of(2**30, 2**30),
    "mat with negative sides": lambda: arrays.cell_of(-1, -1),
    "mat of many empty elements": lambda: arrays.matlab_header() + bytes(8 << 20),
    "mat of version 7.3": lambda: (
        b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n"
    ),
    "mat of no byte order": lambda: b"MATLAB 5.0 MAT-file".ljust(128) + bytes(99),
}
