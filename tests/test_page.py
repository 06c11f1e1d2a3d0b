"""Blocks of a page: safe, right, and as small as they should be."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from nst_jax.report import page
from tests.pages import Page

NASTY = "<script>alert('x')</script> &amp; \"quoted\" </style></title>"
GREY = np.full((4, 6, 3), 0.5, np.float32)


def of(*blocks):
    return Page(page.document("title", *blocks))


@pytest.mark.parametrize(
    "block",
    [
        page.text(NASTY),
        page.section(NASTY),
        page.folded(NASTY),
        page.code(NASTY),
        page.strong(NASTY),
        page.picture(GREY, NASTY),
        page.table([NASTY], [[1.0]]),
        page.table(["a"], [[NASTY]]),
        page.table(["a"], [[1.0]], NASTY),
        page.facts({NASTY: ""}),
        page.facts({"a": NASTY}),
        page.bar({NASTY: 1.0}, ["b"]),
        page.bar({"a": 1.0}, [NASTY]),
    ],
)
def test_words_stay_words(block):
    assert NASTY in of(block).text


def test_title_and_attributes_are_escaped_too():
    assert Page(page.document(NASTY)).text.count(NASTY) == 2  # title and heading
    shown = of(page.picture(GREY, "", alt=NASTY), page.text("", kind='"><b>'))
    assert shown.all("img")[0]["alt"] == NASTY
    assert shown.all("b") == []


def test_words_that_utf8_or_html_cannot_hold():
    whole = page.document("x\udcfc\0\x1b[31m\x85", page.text("two\nlines\tà 日本"))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", whole)
    assert "two\nlines\tà 日本" in Page(whole.encode("utf-8").decode()).text


def test_a_page_loads_nothing():
    head = page.document("x")
    assert "default-src 'none'" in head
    assert not re.search(r"https?://|@import|url\(", head)


def data_of(attributes):
    return base64.b64decode(attributes["src"].partition("base64,")[2])


def shown_size(block):
    attributes = of(block).all("img")[0]
    size = Image.open(io.BytesIO(data_of(attributes))).size
    assert size == (int(attributes["width"]), int(attributes["height"]))
    return size


def test_only_larger_pictures_are_reduced():
    assert shown_size(page.picture(GREY, "", longest=6)) == (6, 4)
    assert shown_size(page.picture(GREY, "", longest=3)) == (3, 2)
    line = np.zeros((400, 1, 3), np.float32)
    assert shown_size(page.picture(line, "", longest=10)) == (1, 10)


def test_pictures_keep_their_colours():
    colours = np.zeros((40, 40, 3), np.float32)
    colours[:, 20:] = 1.0, 0.5, 0.25
    data = data_of(of(page.picture(colours, "")).all("img")[0])
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) / 255
    assert np.abs(seen[20, 5]).max() < 0.03
    assert np.abs(seen[20, 35] - [1, 0.5, 0.25]).max() < 0.03


def test_a_picture_that_is_not_finite_or_in_range_is_shown_all_the_same():
    wild = np.array([[[np.nan, np.inf, -np.inf], [2, -1, 0.5]]], np.float32)
    assert shown_size(page.picture(wild, "")) == (2, 1)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_bytes_of_a_picture_are_used_as_they_are(form):
    stream = io.BytesIO()
    Image.new("RGB", (2, 2)).save(stream, form)
    attributes = of(page.picture(stream.getvalue(), "")).all("img")[0]
    assert attributes["src"].startswith(f"data:image/{form};")
    assert data_of(attributes) == stream.getvalue()


def test_numbers_stand_on_the_right():
    rows = [["a", 1.5, "12 s", "5 px wide", page.strong("7"), ""]] * 2
    cells = of(page.table(list("nxtwsm"), rows)).elements
    marks = [attributes.get("class") for tag, attributes in cells if tag == "td"]
    assert marks[:5] == ["number", "number", None, None, None]


def test_a_table_needs_no_rows_but_whole_ones():
    assert of(page.table(["a", "b"], [])).all("th") != []
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        page.table(["a", "b"], [[1.0, 2.0], [1.0]])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (-2.5, "-2.5"),
        (9999.4, "9999"),
        (99_994.0, "99994"),
        (155_600.0, "1.556×10⁵"),  # noqa: RUF001
        (-1e6, "-1×10⁶"),  # noqa: RUF001
        (1e6, "10⁶"),
        (2e-4, "2×10⁻⁴"),  # noqa: RUF001
        (123_456_789, "123456789"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_for_people(value, words):
    assert page.number(value) == words


def widths(parts):
    block = page.bar(parts, ["" for _ in parts])
    return [float(width) for width in re.findall(r"width: ([\d.]+)%", block)]


def test_a_bar_is_as_wide_as_its_whole():
    assert widths({"a": 1.0, "b": 3.0}) == [25, 75]
    assert widths({"a": 0.0, "b": 0.0}) == [0, 0]
    assert sum(widths({str(i): 1.0 for i in range(9)})) == pytest.approx(100, abs=0.1)
