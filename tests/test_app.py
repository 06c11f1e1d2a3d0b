"""The page in the browser, by its addresses: what it takes, refuses and gives."""

import http.client
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from nst_jax import app, flagfile, flags, images, inputs, preset, run, start  # noqa: E402
from nst_jax.app import (  # noqa: E402
    asked,
    gate,
    jobs,
    orders,
    pace,
    server,
    serving,
    shelf,
    wording,
)
from nst_jax.app.studio import Studio  # noqa: E402
from nst_jax.arguments import SETTINGS  # noqa: E402
from nst_jax.errors import RequestError  # noqa: E402

SMALL = (
    *("--weights=random", "--size=32", "--steps=3", "--device=cpu", "--optimizer=adam"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1"),  # soon compiled
)


def png(rows=60, columns=80, seed=0):
    generator = np.random.default_rng(seed)
    slope = np.linspace(0, 200, columns)[None, :, None]
    noise = generator.integers(0, 55, (rows, columns, 3))
    file = io.BytesIO()
    Image.fromarray((slope + noise).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def defaults_of(*arguments):
    request = flags.parse(
        arguments, read_settings=start.read_settings, program=asked.APP
    )
    return asked.defaults(request)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, served in threads of this process, with a made-up network."""
    folder = tmp_path_factory.mktemp("page")
    studio = Studio(folder, defaults_of(*SMALL))
    listening = app.bound(asked.AppConfig(port=0))
    port = listening.getsockname()[1]
    door = gate.door("127.0.0.1", port)
    guarded = gate.guarded(server.app(studio, asked.AppConfig(upload_limit=1)), door)
    config = uvicorn.Config(guarded, lifespan="off", ws="none", log_level="warning")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    studio.open()
    yield types.SimpleNamespace(port=port, door=door, studio=studio, folder=folder)
    serving.should_exit = True
    thread.join(20)
    assert studio.close(60)
    listening.close()


def ask(page, method, path, body=None, headers=(), token=None):
    """Status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    try:
        where = f"/{page.door.token if token is None else token}/{path}"
        connection.request(method, where, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def said(page, method, path, data=None):
    """The JSON of an answer that is no refusal."""
    body = data if isinstance(data, bytes) or data is None else json.dumps(data)
    status, _, answer = ask(page, method, path, body)
    assert status == 200, answer
    return json.loads(answer)


def refusal(page, method, path, data=None):
    """The words of a refusal."""
    body = data if isinstance(data, bytes) or data is None else json.dumps(data)
    status, _, answer = ask(page, method, path, body)
    assert status == 422, (status, answer)
    words = json.loads(answer)["error"]
    assert "\n" not in words
    assert str(page.folder) not in words
    return words


@pytest.fixture(scope="module")
def pictures(page):
    """Keys of a photo and two paintings that were handed in."""
    return [
        said(page, "POST", f"api/pictures?name={name}", png(60, 80, seed))["key"]
        for seed, name in enumerate(("photo.png", "painting.png", "other.png"))
    ]


def order(pictures, paintings=1, **more):
    return {"photo": pictures[0], "paintings": pictures[1 : 1 + paintings], **more}


def job(page, key):
    news = json.loads(ask(page, "GET", "api/news")[2])
    return next(each for each in news["jobs"] if each["key"] == key)


def until(page, key, holds, seconds=120):
    """The job, as soon as that holds of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = job(page, key)
        if holds(found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def ended(found):
    return found["state"] not in ("waiting", "working")


@pytest.fixture(scope="module")
def finished(page, pictures):
    """A job that is done, with the result as it is downloaded."""
    settings = {"strength": "0.6", "style_weights": "3,1"}
    asked_for = order(pictures, 2, preset="default", settings=settings)
    key = said(page, "POST", "api/jobs", asked_for)["key"]
    found = until(page, key, ended)
    assert found["state"] == "done", found
    return found, ask(page, "GET", f"api/jobs/{key}/result")


def test_the_result_is_what_the_shown_command_gives(
    finished, tmp_path, monkeypatch, capsys
):
    found, (status, headers, data) = finished
    assert status == 200
    assert "attachment" in headers["Content-Disposition"]
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo.png", "painting.png", "other.png")):
        Path(name).write_bytes(png(60, 80, seed))
    python, _, program, *arguments = shlex.split(found["command"])
    assert (python, program) == ("python", "nst_jax.run")
    assert run.main(arguments) == 0, capsys.readouterr()
    made = next(Path().glob("*-*.png"))
    assert made.name == found["file"]
    assert made.read_bytes() == data
    assert "style_weights=3.0,1.0" in images.read_settings(made)


def test_a_finished_job_is_told_in_full(page, finished):
    found, _ = finished
    assert (found["step"], found["steps"], found["share"]) == (3, 3, 1)
    assert (found["width"], found["height"]) == (32, 24)
    view = ask(page, "GET", f"api/jobs/{found['key']}/view")
    assert view[1]["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(view[2])).size == (32, 24)
    news = json.loads(ask(page, "GET", "api/news")[2])
    assert re.match(r"CPU", news["device"])
    assert news["fetch"]["default"] == 0
    assert ask(page, "GET", f"api/news?since={news['version']}")[0] == 204


def test_settings_of_an_earlier_result_are_the_beginning(page, finished, pictures):
    _, (_, _, data) = finished
    earlier = said(page, "POST", "api/pictures?name=a%20result.png", data)
    assert earlier["settings"]
    found = said(page, "GET", f"api/beginning?earlier={earlier['key']}")
    assert found["settings"]["strength"] == 0.6
    assert found["settings"]["size"] == 32
    # It had two paintings; what it says of each is nothing for one.
    plan = said(page, "POST", "api/plan", order(pictures, earlier=earlier["key"]))
    assert "--style_weights=1" in plan["command"]
    assert "--from=a_result.png" in plan["command"]
    assert plan["steps"] == 3


def with_settings(text):
    return images.encoded("x.png", np.full((40, 40, 3), 0.5, np.float32), settings=text)


def test_an_earlier_result_opens_no_files(page, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("secret.png").write_bytes(png())
    Path("secret.pth").write_bytes(b"x")
    text = "--init=/etc/secret.png\n--protect=secret.png\n--content_mask=secret.png\n"
    data = with_settings(text)
    key = said(page, "POST", "api/pictures?name=evil.png", data)["key"]
    notes = said(page, "GET", f"api/beginning?earlier={key}")["notes"]
    assert len(notes) == 2
    plan = said(page, "POST", "api/plan", order(pictures, earlier=key))
    assert "secret" not in plan["command"]
    data = with_settings("--weights=secret.pth\n")
    key = said(page, "POST", "api/pictures?name=evil.png", data)["key"]
    # The operator's own --weights stand above it: without them it is refused.
    bare = page.studio.defaults._replace(flags=(), config=defaults_of().config)
    told = orders.Order(pictures[0], (pictures[1],), earlier=key)
    with pytest.raises(RequestError, match=r"secret\.pth"):
        orders.plan(told, page.studio.shelf, bare, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        {"photo": 3},
        {"paintings": "abc"},
        {"output": "x.png"},
        {"settings": {"output": "/tmp/x.png"}},
        {"settings": {"weights": "x.pth"}},
        {"settings": {"size": 512}},
        {"settings": {"size": "1" * 300}},
        {"masks": {"style_mask": "a"}},
        {"suffix": ".exe"},
        {"paintings": ["a"] * 9},
        [],
    ],
)
def test_an_order_holds_nothing_else(data):
    with pytest.raises(RequestError):
        orders.read(data)


def test_refusals_are_the_command_lines_in_other_words(page, pictures, finished):
    del finished  # the device is known by then, and its memory
    for settings, words in [
        ({"size": "-4"}, "The size must be at least 0, got -4."),
        ({"size": "8"}, "Choose a larger size"),
        ({"size": "60000"}, r"60000 x 45000 pixels needs about .* of memory"),
        ({"size": "many"}, "The size must be a whole number"),
        ({"color": "--flagfile=/etc/passwd"}, "The colours must be one of"),
        ({"strength": "2"}, "no balance|The strength must be"),
        ({"init": "/etc/passwd"}, "file of their own"),
    ]:
        found = refusal(page, "POST", "api/plan", order(pictures, settings=settings))
        assert re.search(words, found), found
        assert "--" not in found.replace("--flagfile", "")
    assert "photo" in refusal(page, "POST", "api/plan", {})
    assert "painting" in refusal(page, "POST", "api/plan", {"photo": pictures[0]})
    for name in ("help", "../x"):
        assert "preset" in refusal(page, "GET", f"api/beginning?preset={name}")
    gone = order(["f" * 16, *pictures[1:]])
    assert "not here any more" in refusal(page, "POST", "api/plan", gone)
    assert "JSON" in refusal(page, "POST", "api/jobs", b"[" * 60000)


def test_files_that_are_no_pictures_leave_nothing(page):
    before = sorted(page.folder.rglob("*"))
    photo = png()
    for data, words in [
        (b"", "empty"),
        (b"hello", "not a picture this page knows"),
        (photo[: len(photo) // 2], "may be damaged"),
        (photo[:8] + b"\0" * 50, "may be damaged"),
    ]:
        found = refusal(page, "POST", "api/pictures?name=../../x.png", data)
        assert words in found
        assert found.startswith("x.png")
    assert ask(page, "POST", "api/pictures?name=a.png", b"\0" * 1_100_000)[0] == 413
    assert sorted(page.folder.rglob("*")) == before


def test_a_name_decides_no_place(page):
    names = ("../../../x.png", "/etc/passwd", "C:\\con.png", "a" * 400, "\0\n%", "..")
    for name in names:
        path = page.studio.shelf.room(name)
        assert path.parent.parent == page.folder / "pictures"
        assert re.fullmatch(r"[\w.-]{1,60}", path.name), path.name
        assert path.name.partition(".")[0].lower() != "con"
        page.studio.shelf.drop(path)


def test_no_two_files_have_one_name(page, pictures):
    first, second = (
        said(page, "POST", f"api/pictures?name={name}", png(seed=seed))
        for name, seed in (("image.png", 5), ("Image.png", 6))
    )
    assert (first["name"], second["name"]) == ("image.png", "Image-2.png")
    before = sorted(page.folder.rglob("*"))
    assert said(page, "POST", "api/pictures?name=image.png", png(seed=5)) == first
    assert sorted(page.folder.rglob("*")) == before
    keys = [pictures[0], first["key"], second["key"]]
    plan = said(page, "POST", "api/plan", order(keys, 2))
    assert "--style=image.png,Image-2.png" in plan["command"]


@pytest.mark.parametrize("fault", [MemoryError(), OSError(28, "No space left")])
def test_a_picture_that_cannot_be_kept_leaves_nothing(page, monkeypatch, fault):
    where = f"api/pictures?name={type(fault).__name__}.png"
    before = sorted(page.folder.rglob("*"))

    def fails(path):
        raise fault

    monkeypatch.setattr(shelf, "_has_settings", fails)
    found = refusal(page, "POST", where, png(seed=7))
    assert "Error.png" in found
    assert sorted(page.folder.rglob("*")) == before
    monkeypatch.undo()
    assert said(page, "POST", where, png(seed=7))


def test_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    made = shelf.Shelf(tmp_path, max_pixels=10**6)
    inside, most = [], []
    real = shelf.view

    def slow(pixels):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return real(pixels)

    monkeypatch.setattr(shelf, "view", slow)
    paths = [made.room("a.png") for _ in range(4)]
    for seed, path in enumerate(paths):
        path.write_bytes(png(seed=seed))
    threads = [threading.Thread(target=made.add, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4
    names = sorted(file.name for file in tmp_path.rglob("*.png"))
    assert names == ["a-2.png", "a-3.png", "a-4.png", "a.png"]


def test_the_page_sees_a_mask_as_it_is(page):
    generator = np.random.default_rng(0)
    mask = generator.choice([0, 255], (60, 80)).astype(np.uint8)
    key = said(page, "POST", "api/pictures?name=hard.png", mask_of(mask))["key"]
    _, headers, body = ask(page, "GET", f"api/pictures/{key}")
    assert headers["Content-Type"] == "image/png"
    seen = np.asarray(Image.open(io.BytesIO(body)).convert("L"))
    np.testing.assert_array_equal(seen, mask)


def test_a_number_of_any_length_asks_for_news(page):
    assert ask(page, "GET", f"api/news?since={'9' * 5000}")[0] == 200


def test_a_result_that_goes_meanwhile_is_not_there(page, finished, monkeypatch):
    found, _ = finished
    gone = page.studio.job(found["key"])
    gone = gone._replace(result=page.folder / "gone.png")
    monkeypatch.setattr(page.studio, "job", lambda key: gone)
    assert ask(page, "GET", f"api/jobs/{found['key']}/result")[0] == 404


def test_a_browser_is_told_the_address_by_a_private_file(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(serving, "_has_browser", lambda: True)
    monkeypatch.setattr("webbrowser.open", opened.append)
    serving._greet("http://127.0.0.1:1/token/", tmp_path, opens=True)
    path = tmp_path / "open.html"
    assert opened == [path.as_uri()]
    assert 'url=http://127.0.0.1:1/token/"' in path.read_text()
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_leaving_removes_what_is_written_meanwhile(tmp_path, monkeypatch):
    folder, left = tmp_path / "visit", []
    folder.mkdir()
    real = shutil.rmtree

    def late(path, **options):  # the first time a thread has just made a file
        monkeypatch.setattr(shutil, "rmtree", real)

    monkeypatch.setattr(shutil, "rmtree", late)
    monkeypatch.setattr(os, "_exit", left.append)
    serving._leave(folder, 130)
    assert left == [130]
    assert not folder.exists()


def test_only_the_printed_address_is_let_in(page):
    own = f"127.0.0.1:{page.port}"
    assert ask(page, "GET", "")[0] == 200
    for token in ("", "x", page.door.token[:-1], page.door.token + "x"):
        status, _, body = ask(page, "GET", "api/news", token=token)
        assert status == 404
        assert page.door.token.encode() not in body
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1:1", ""):
        assert ask(page, "GET", "", headers={"Host": host})[0] == 403
    for host in (f"localhost:{page.port}", own):
        assert ask(page, "GET", "", headers={"Host": host})[0] == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{page.port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert ask(page, "POST", "api/jobs/1/stop", headers=headers)[0] == 403
    headers = {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}
    assert ask(page, "POST", "api/jobs/99/stop", headers=headers)[0] == 422


def test_nothing_of_elsewhere_is_served_or_asked_for(page):
    for path in (
        *("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "server.py", "app.js/"),
        *("%2e%2e/%2e%2e/etc/passwd", "api/pictures/..", "api/jobs/../result"),
    ):
        assert ask(page, "GET", path)[0] in (404, 405, 422, 307), path
        assert b"root:" not in ask(page, "GET", path)[2]
    kinds = {"": "text/html", "style.css": "text/css", "app.js": "text/javascript"}
    for name, kind in kinds.items():
        _, headers, body = ask(page, "GET", name)
        assert headers["Content-Type"].startswith(kind)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        elsewhere = re.sub(rb"http://www\.w3\.org", b"", body)
        assert not re.search(rb"https?://", elsewhere)


def test_an_open_address_knows_numbers_but_no_names():
    door = gate.door("0.0.0.0", 8450)
    assert gate._is_ours("192.168.1.7:8450", door)
    assert gate._is_ours(f"{socket.gethostname()}:8450", door)
    assert gate._is_ours("[::1]:8450", door)
    assert not gate._is_ours("evil.example:8450", door)
    assert not gate._is_ours("192.168.1.7:8450", gate.door("127.0.0.1", 8450))


def test_stop_keeps_the_picture_and_others_wait(page, pictures):
    long = order(pictures, settings={"steps": "100000"})
    first = said(page, "POST", "api/jobs", long)["key"]
    second = said(page, "POST", "api/jobs", long)["key"]
    third = said(page, "POST", "api/jobs", order(pictures))["key"]
    until(page, first, lambda found: found["step"] > 1)
    assert job(page, second)["place"] == 1
    assert job(page, third)["place"] == 2
    said(page, "POST", f"api/jobs/{second}/stop")
    assert job(page, second)["state"] == "stopped"
    assert job(page, third)["place"] == 1
    assert "not finished" in refusal(page, "DELETE", f"api/jobs/{first}")
    version = job(page, first)["version"]
    until(page, first, lambda found: found["version"] > version)  # it is seen growing
    said(page, "POST", f"api/jobs/{first}/stop")
    found = until(page, first, ended)
    assert found["state"] == "stopped"
    assert 0 < found["step"] < 100000
    _, _, data = ask(page, "GET", f"api/jobs/{first}/result")
    again = said(page, "POST", "api/pictures?name=kept.png", data)
    assert again["settings"]
    assert until(page, third, ended)["state"] == "done"
    folder = page.folder / "results" / first
    assert folder.is_dir()
    said(page, "DELETE", f"api/jobs/{first}")
    assert not folder.exists()
    assert "not here any more" in refusal(page, "POST", f"api/jobs/{first}/stop")


def mask_of(values):
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_masks_are_those_of_the_command_line(page, pictures):
    left = np.zeros((60, 80), np.uint8)
    left[:, :40] = 255
    keys = {
        role: said(page, "POST", f"api/pictures?name={role}.png", mask_of(left))["key"]
        for role in ("fill", "content_mask")
    }
    key = said(page, "POST", "api/jobs", order(pictures, 2, masks=keys))["key"]
    found = until(page, key, ended)
    assert found["state"] == "done", found
    _, _, data = ask(page, "GET", f"api/jobs/{key}/result")
    made = np.asarray(Image.open(io.BytesIO(data)), int)
    config = page.studio.job(key).plan.request.config
    photo = inputs.read(config).content
    far = np.abs(made - np.rint(photo * 255))
    assert far[:, 18:].max() <= 1  # outside of the fill it is the photo
    assert far[:, :14].max() > 1


def test_a_job_that_cannot_be_done_says_why(page, pictures):
    empty = mask_of(np.zeros((60, 80)))
    key = said(page, "POST", "api/pictures?name=m.png", empty)["key"]
    asked_for = order(pictures, masks={"fill": key})
    found = until(page, said(page, "POST", "api/jobs", asked_for)["key"], ended)
    assert found["state"] == "failed"
    assert found["note"].startswith("Nothing is painted in that mask")
    assert not found["file"]


def test_a_job_must_fit_when_it_begins(page, pictures, finished, monkeypatch):
    del finished  # the device is known by then
    told = orders.Order(pictures[0], (pictures[1],), settings={"size": "60000"})
    plan = orders.plan(told, page.studio.shelf, page.studio.defaults, page.folder)
    way = pace.legs((60, 80), plan.request.config)
    monkeypatch.setattr(run, "carry_out", lambda *_: pytest.fail("was begun"))
    made = jobs.Job("m", told, plan, way, state="working")
    with page.studio._change:
        page.studio._jobs["m"] = made
    page.studio._work(made)
    found = job(page, "m")
    page.studio.forget("m")
    assert found["state"] == "failed"
    assert re.search("of memory, and there are", found["note"])


def test_a_fault_of_one_job_is_not_the_next_ones(page, pictures, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(run, "carry_out", lambda *_: 1 / 0)
        key = said(page, "POST", "api/jobs", order(pictures))["key"]
        assert until(page, key, ended)["state"] == "failed"
    assert "ZeroDivisionError" in capsys.readouterr().err
    key = said(page, "POST", "api/jobs", order(pictures))["key"]
    assert until(page, key, ended)["state"] == "done"


def test_the_queue_and_the_shelf_have_ends(page, pictures, monkeypatch):
    monkeypatch.setattr("nst_jax.app.studio._MOST_WAITING", 0)
    assert "waiting already" in refusal(page, "POST", "api/jobs", order(pictures))
    monkeypatch.setattr(shelf, "_MOST_FILES", 1)
    assert "as many" in refusal(page, "POST", "api/pictures?name=a.png", png())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--content=a.jpg"], "--content is not for the page"),
        (["--report=a.html"], "--report is not for the page"),
        (["--resume", "--checkpoint=x"], "not for the page"),
        (["--port=99999"], "--port must be"),
        (["--host="], "--host must be"),
        (["--host=a..b"], "--host=a..b --port=8450 cannot be listened on"),
        (["--init=a.png"], "--init must be one of content, noise"),
        (["--stpes=3"], "did you mean --steps"),
        (["--device=tpu"], "--device=tpu is not there"),
    ],
)
def test_wrong_flags_are_answered_in_one_line(arguments, words, capsys):
    assert app.main([*arguments, "--noopen"]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


def test_a_port_in_use_is_answered_in_one_line(capsys):
    with app.bound(asked.AppConfig(port=0)) as taken:
        port = taken.getsockname()[1]
        assert app.main([f"--port={port}", "--noopen"]) == 2
    line = capsys.readouterr().err
    assert f"--port={port}" in line
    assert line.count("\n") == 1


def test_without_its_packages_it_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "nst_jax.app.serving", raising=False)
    monkeypatch.delattr(app, "serving", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert app.main(["--noopen"]) == 2
    line = capsys.readouterr().err
    assert "pip install" in line
    assert "uvicorn" in line
    assert line.count("\n") == 1


def test_flags_are_where_jobs_begin():
    found = defaults_of("--preset=gatys2016", "--size=300", "--nooffline", "--port=1")
    assert found.preset == "gatys2016"
    assert found.flags == ("--size=300", "--offline=false")
    assert orders.of_preset("cysmith", found).inputs.size == 300


def test_every_preset_has_words_and_every_setting_loses_its_dashes():
    assert wording.PRESETS.keys() == preset.every().keys()
    for name in SETTINGS:
        found = wording.plain(
            f"--{name}=abc must be some of x, y, got 'z'; take --{name}"
        )
        assert "--" not in found


def test_the_way_of_a_job_is_the_one_it_goes(tmp_path):
    (tmp_path / "a.png").write_bytes(png(400, 300))
    for extra in ((), ("--scales=64,100",), ("--size_rule=short", "--scales=2")):
        request = flags.parse(
            [
                *(f"--content={tmp_path / 'a.png'}", f"--style={tmp_path / 'a.png'}"),
                *("--output=x.png", "--size=720", "--scale_steps=7", *extra),
            ],
            read_settings=start.read_settings,
        )
        found = inputs.shapes(inputs.read(request.config), request.config)
        way = pace.legs((400, 300), request.config)
        assert [leg.shape for leg in way] == list(found)
        assert [leg.steps for leg in way] == [7] * (len(found) - 1) + [300]


def test_the_meter_forgets_compilation(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    way = (pace.Leg((1000, 500), 10), pace.Leg((1000, 1000), 10))
    meter = pace.Meter(way, rate=99.0)
    for step, clock in [(0, 20.0), (1, 60.0), (5, 62.0), (10, 64.5), (11, 99.0)]:
        now[0] = clock
        left = meter.passed(step)
    assert meter.rate == pytest.approx(1.0)
    assert left == pytest.approx(9.0)
    assert meter.share(10) == pytest.approx(1 / 3)


def test_it_ends_by_a_signal_and_leaves_nothing(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "nst_jax.app", "--port=0", "--noopen", *SMALL]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            address = process.stdout.readline()
            there = [*tmp_path.glob("nst_jax-page-*")]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    assert len(there) == 1
    assert not there[0].exists()


def test_the_page_is_told_of_settings_as_text(page):
    found = said(page, "GET", "api/beginning?preset=crowsonkb")["settings"]
    assert found.keys() == {
        *("size", "steps", "strength", "style_scale", "color", "color_when"),
        *("init", "seed"),
    }
    assert found["size"] == 32  # the operator's
    for name, value in found.items():
        if value is not None:
            text = flagfile.to_text(value)
            flagfile.from_text(name, str, text)
