"""What the pages say holds: links, anchors, commands, settings, strips, code."""

import ast
import dataclasses
import doctest
import functools
import importlib
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from PIL import Image

import nst_jax
from nst_jax import config, flags

ROOT = Path(__file__).parents[1]
DOCS = sorted(ROOT.glob("docs/*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS, ROOT / "weights" / "README.md"]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
CONTROLS = ROOT / "docs" / "controls.md"


def named(path):
    return path.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=named)


@functools.cache
def prose(page):
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text("utf-8"))


@functools.cache
def anchors(page):
    """What may stand after a # in a link to a page."""
    headings = re.findall(r"^#+ +(.+?) *#*$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", each) for each in headings)
    kept = (re.sub(r"[^\w\s-]", "", each.lower()).strip() for each in plain)
    return {re.sub(r"\s", "-", each) for each in kept}


@each_page
def test_every_link_leads_somewhere(page):
    for link in (one or other for one, other in LINK.findall(prose(page))):
        if re.match(r"\w+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.is_file(), (link, "folders have no page on the site")
        assert target.resolve().is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.resolve()), link


def test_every_page_is_reached():
    """From the site's navigation and from another page."""
    found = set(re.findall(r"[\w-]+\.md\b", (ROOT / "mkdocs.yml").read_text("utf-8")))
    top = {"readme.md", "architecture.md", "changelog.md", "security.md"}
    assert found == {page.name for page in DOCS} | top
    linked = {
        (page.parent / link[0].partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(prose(page))
    }
    assert {page.name for page in DOCS if page not in linked} <= {"index.md"}


def commands(page):
    """The arguments of every `nst_jax.run` in the page's blocks of sh."""
    for language, block in FENCE.findall(page.read_text("utf-8")):
        if language == "sh":
            for row in textwrap.dedent(block).replace("\\\n", "").splitlines():
                for part in re.split(r"&&|;", row):
                    words = shlex.split(part, comments=True)
                    if words[:3] == ["python", "-m", "nst_jax.run"]:
                        yield [word for word in words[3:] if "..." not in word]


@each_page
def test_every_command_is_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for arguments in commands(page):
        # Earlier results and tables that a reader has, and what a walk through adds.
        theirs = ("--flagfile=", "--from=", "--preset=NAME", "--style_loss=means")
        known = [
            each
            for each in arguments
            if not each.startswith((*theirs, "--manifest="))
            or Path(each.partition("=")[2]).is_file()
        ]
        # What was left out held the pictures.
        given = [] if known == arguments else ["--content=a.png", "--style=b.png"]
        flags.parse([*given, *known], read_settings=str)


@each_page
def test_every_script_and_module_that_is_called_is_there(page):
    text = page.read_text("utf-8")
    for name in re.findall(r"python (scripts/\w+\.py)", text):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"python -m (nst_jax[\w.]*)", text):
        assert importlib.util.find_spec(name), name
    for name in re.findall(r"\b(tests/\w+\.py)", text):
        assert (ROOT / name).is_file(), name


@each_page
def test_code_names_what_there_is(page):
    for language, block in FENCE.findall(page.read_text("utf-8")):
        if language != "python" or page.name == "adding.md":
            continue
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = node.value.id
                if owner == "nst_jax":
                    assert node.attr in nst_jax.__all__
                elif owner in ("losses", "moments", "vgg"):
                    module = importlib.import_module(f"nst_jax.{owner}")
                    assert hasattr(module, node.attr)


@each_page
def test_examples_say_what_they_give(page):
    for language, block in FENCE.findall(page.read_text("utf-8")):
        assert (">>>" in block) == (language == "pycon"), block
        if language == "pycon":
            example = doctest.DocTestParser().get_doctest(block, {}, page.name, None, 0)
            assert doctest.DocTestRunner().run(example).failed == 0


@pytest.fixture(scope="module")
def strips():
    """The arguments of every picture of docs/controls.md, by strip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        script = importlib.import_module("make_controls")
    found = script.strips(CONTROLS.read_text("utf-8"))
    assert len(found) == CONTROLS.read_text("utf-8").count("](controls/") - 1
    return found


def test_every_strip_shows_the_setting_it_stands_under(strips, monkeypatch):
    monkeypatch.chdir(ROOT)
    headed = [
        (part.partition("\n")[0], name)
        for part in re.split(r"^###? ", prose(CONTROLS), flags=re.MULTILINE)
        for name in re.findall(r"!\[[^]]*\]\((controls/.*?)\)", part)
    ]
    assert [name for _, name in headed] == list(strips)
    for setting, name in headed:
        values = set()
        for arguments in strips[name]:
            asked = flags.parse([*arguments, "--output=out.png"], read_settings=str)
            (value,) = (
                getattr(group, setting)
                for group in vars(asked.config).values()
                if hasattr(group, setting)
            )
            values.add(value)
        assert len(values) == len(strips[name]) > 1, name


def test_strips_are_there_and_small(strips):
    folder = CONTROLS.parent / "controls"
    expected = {folder / Path(name).name for name in strips}
    assert set(folder.iterdir()) == expected | {folder / "common.flags"}
    for path in expected:
        with Image.open(path) as strip:
            count = len(strips[f"controls/{path.name}"])
            assert strip.width == count * 192 + (count - 1) * 6
    assert sum(path.stat().st_size for path in expected) < 3_000_000


def test_every_setting_that_changes_a_picture_is_on_the_page():
    groups = ("inputs", "control", "network", "objective", "optimizer", "solve")
    fields = {
        field.name
        for group in groups
        for field in dataclasses.fields(getattr(config.Config(), group))
        if field.metadata["stored"] == "always"
    }
    text = CONTROLS.read_text("utf-8")
    assert {name for name in fields if not re.search(rf"\b{name}\b", text)} == set()
