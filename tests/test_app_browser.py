"""The page in a real browser without windows, as a person would use it.

Needs playwright and a chromium of the system; skipped without them.
"""

import os
import shutil
import threading
import types

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
uvicorn = pytest.importorskip("uvicorn")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
if BROWSER is None:
    pytest.skip("no chromium was found", allow_module_level=True)

from nst_jax import app, flags, images, start  # noqa: E402
from nst_jax.app import asked, gate, server  # noqa: E402
from nst_jax.app.studio import Studio  # noqa: E402

SMALL = (
    *("--weights=random", "--size=32", "--device=cpu", "--optimizer=adam"),
    *("--content_layers=relu2_1", "--style_layers=relu1_1"),  # soon compiled
    "--max_pixels=1000000",
)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The page, served in threads of this process, with a made-up network."""
    request = flags.parse(SMALL, read_settings=start.read_settings, program=asked.APP)
    studio = Studio(tmp_path_factory.mktemp("page"), asked.defaults(request))
    listening = app.bound(asked.AppConfig(port=0))
    port = listening.getsockname()[1]
    door = gate.door("127.0.0.1", port)
    guarded = gate.guarded(server.app(studio, asked.AppConfig(upload_limit=1)), door)
    config = uvicorn.Config(guarded, lifespan="off", ws="none", log_level="warning")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    studio.open()
    address = f"http://127.0.0.1:{port}/{door.token}/"
    yield types.SimpleNamespace(address=address, studio=studio)
    serving.should_exit = True
    thread.join(20)
    assert studio.close(60)
    listening.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files to be dropped."""
    path = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(0)
    for name, (rows, columns) in {
        "photo": (60, 80),
        "a": (50, 50),
        "b": (50, 70),
    }.items():
        slope = np.linspace(0, 200, columns)[None, :, None]
        noise = generator.integers(0, 55, (rows, columns, 3))
        Image.fromarray((slope + noise).astype(np.uint8)).save(path / f"{name}.png")
    (path / "letter.txt").write_text("Dear Sir or Madam")
    Image.new("RGB", (1200, 1000)).save(path / "large.png")
    (path / "heavy.png").write_bytes(bytes(1_100_000))
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tools:
        options = ["--no-sandbox"] if os.name == "posix" and os.getuid() == 0 else []
        found = tools.chromium.launch(executable_path=BROWSER, args=options)
        yield found
        found.close()


@pytest.fixture
def tab(browser, served):
    """Opens the page in a tab with a size; whatever goes wrong in it is a failure."""
    opened, faults = [], []

    def open_one(width=1280, height=900, **options):
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, accept_downloads=True, **options)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: elsewhere(sent.url))
        page.goto(served.address)
        page.wait_for_selector("#device.ready")
        return page

    def elsewhere(url):
        if not url.startswith((served.address, "blob:", "data:")):
            faults.append(url)

    yield open_one
    for context in opened:
        context.close()
    assert faults == []


def give(page, folder, *paintings):
    page.set_input_files("#photo-file", folder / "photo.png")
    page.set_input_files("#painting-file", [folder / name for name in paintings])
    page.wait_for_selector("#go:enabled")


def steps(page, count):
    page.evaluate("document.querySelector('.more').open = true")
    page.fill("#steps", str(count))
    page.press("#steps", "Tab")
    wait_for(page, "pixels", "#estimate")


def go(page):
    """Starts a job and waits until the page shows it."""
    shown = "before => document.querySelectorAll('#history li').length > before"
    before = page.locator("#history li").count()
    page.click("#go")
    page.wait_for_function(shown, arg=before)


def wait_for(page, words, where="#said"):
    """Waits until that part of the page says so."""
    page.wait_for_function(
        "([where, words]) => document.querySelector(where).textContent.includes(words)",
        arg=[where, words],
    )


def colours(page, selector):
    """What a picture on the page shows, so as to tell one from another."""
    return page.evaluate(
        """selector => {
            const image = document.querySelector(selector);
            const paper = document.createElement('canvas');
            paper.width = paper.height = 16;
            const pen = paper.getContext('2d');
            pen.drawImage(image, 0, 0, 16, 16);
            return [...pen.getImageData(0, 0, 16, 16).data];
        }""",
        selector,
    )


def test_a_picture_grows_is_stopped_and_downloaded(tab, folder, tmp_path):
    page = tab()
    assert page.is_disabled("#go")
    give(page, folder, "a.png")
    steps(page, 50_000)
    assert "32 \u00d7 24 pixels" in page.text_content("#estimate")
    go(page)
    wait_for(page, "step")
    first = colours(page, "#after")
    for _ in range(60):
        page.wait_for_timeout(500)
        if (now := colours(page, "#after")) != first:
            break
    assert now != first
    page.click("#stop")
    wait_for(page, "Stopped")
    with page.expect_download() as got:
        page.click("#download")
    assert got.value.suggested_filename == "photo-a.png"
    got.value.save_as(tmp_path / "got.png")
    assert "steps=50000" in images.read_settings(tmp_path / "got.png")
    # The photo over the picture, by the keyboard.
    page.focus("#cut")
    page.keyboard.press("End")
    shown = "document.querySelector('#picture').style.getPropertyValue('--cut')"
    assert page.evaluate(shown) == "100%"
    # Its settings go on.
    page.set_input_files("#earlier-file", tmp_path / "got.png")
    page.wait_for_selector("#earlier:has-text('got.png')")
    assert page.input_value("#steps") == "50000"
    go(page)
    wait_for(page, "--from=got.png", "#command")
    page.click("#stop")
    wait_for(page, "Stopped")


def test_a_second_tab_sees_its_place(tab, folder):
    page, other = tab(), tab()
    give(page, folder, "a.png")
    steps(page, 50_000)
    go(page)
    wait_for(page, "step")
    give(other, folder, "a.png")
    steps(other, 2)
    go(other)
    wait_for(other, "Waiting")
    assert "one picture is painted first" in other.text_content("#said")
    assert other.locator("#history li").count() >= 2
    page.click("#stop")
    wait_for(other, "Finished")
    other.reload()
    other.wait_for_selector("#photo-card img")
    assert other.input_value("#steps") == "2"


def test_masks_are_painted_with_the_mouse(tab, folder, served):
    page = tab()
    give(page, folder, "a.png", "b.png")
    steps(page, 2)
    page.click("#photo-mask")
    page.wait_for_selector("#masks[open]")
    page.evaluate("document.querySelector('#mask-width').value = 40")
    box = page.locator("#mask-paint").bounding_box()

    def stroke(left, right):
        for row in (0.1, 0.4, 0.7, 0.95):
            y = box["y"] + row * box["height"]
            page.mouse.move(box["x"] + left * box["width"], y)
            page.mouse.down()
            page.mouse.move(box["x"] + right * box["width"], y, steps=4)
            page.mouse.up()

    stroke(0.05, 0.35)
    page.check("input[value=content_mask]", force=True)
    stroke(0.7, 0.95)
    page.check("input[value=protect]", force=True)
    stroke(0.1, 0.2)
    for _ in range(4):
        page.click("#mask-undo")
    page.click("#mask-done")
    page.wait_for_selector("#mask-list li:nth-child(2)")
    assert page.locator("#mask-list li").count() == 2
    wait_for(page, "regions.png", "#command")
    go(page)
    wait_for(page, "Finished")
    order = max(served.studio.news(-1)["jobs"], key=lambda job: int(job["key"]))[
        "order"
    ]
    found = {
        role: np.asarray(Image.open(served.studio.shelf.look_up(key).path).convert("L"))
        for role, key in order["masks"].items()
    }
    assert found.keys() == {"fill", "content_mask"}
    assert found["fill"][:, :200].min() == 255
    assert found["fill"][:, 500:].max() == 0
    assert set(np.unique(found["content_mask"])) == {0, 255}
    assert found["content_mask"][:, 650].min() == 255
    assert found["content_mask"][:, :400].max() == 0
    # After a reload they are painted on as they were.
    page.reload()
    page.wait_for_selector("#mask-list li:nth-child(2)")
    page.click("#photo-mask")
    page.wait_for_selector("#masks[open]")
    page.click("#mask-done")
    kept = "Object.values(JSON.parse(Object.values(sessionStorage)[0]).masks)"
    page.wait_for_function(f"() => {kept}.every((mask) => mask.url)")
    keys = page.evaluate(f"() => {kept}.map((mask) => mask.key)")
    assert set(keys) == set(order["masks"].values())


def test_bad_files_are_answered_in_words(tab, folder):
    page = tab()
    for name, words in {
        "letter.txt": "letter.txt is not a picture this page knows",
        "heavy.png": "larger than the 1 MB",
        "large.png": "1200 x 1000 pixels, which is too large",
    }.items():
        page.set_input_files("#photo-file", folder / name)
        wait_for(page, words, "#trouble")
        assert page.is_visible("#trouble")
        assert page.is_disabled("#go")
    give(page, folder, "a.png")
    assert page.is_hidden("#trouble")
    page.fill("#size", "5")
    page.press("#size", "Tab")
    page.wait_for_selector("#trouble:has-text('Choose a larger size')")
    assert page.is_disabled("#go")


def test_a_phone_shows_all_of_it(tab, folder):
    page = tab(**PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    give(page, folder, "a.png")
    steps(page, 2)
    go(page)
    wait_for(page, "Finished")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    for control in ("#download", "#photo-mask", "#strength", "#go"):
        box = page.locator(control).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    page.tap("#photo-mask")
    frame = page.locator("#mask-paint").bounding_box()
    assert frame["width"] > 300
    done = page.locator("#mask-done").bounding_box()
    assert done["y"] + done["height"] <= PHONE["height"]


def test_everything_that_is_used_has_a_name(tab):
    page = tab()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button, a, img, canvas')]
            .filter(each => !(each.ariaLabel || each.getAttribute('aria-label')
                || each.labels?.length || each.textContent.trim()
                || each.hasAttribute('alt')))
            .map(each => each.outerHTML)"""
    )
    assert nameless == []


def test_it_says_when_the_program_has_ended(browser, served):
    page = browser.new_page()
    page.goto(served.address)
    page.wait_for_selector("#device.ready")
    page.route("**/api/news*", lambda route: route.abort())
    page.wait_for_selector("#offline:visible", timeout=20_000)
    page.unroute("**/api/news*")
    page.wait_for_selector("#offline", state="hidden")
    page.close()
