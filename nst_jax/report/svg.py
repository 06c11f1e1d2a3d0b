"""SVG files as parts of a page: no namespaces, names and colours that fit in."""

import hashlib
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from nst_jax.report.page import Html

# Where a part of the file is spoken of by its name.
_REFERENCE = re.compile(r'(?<=url\(|ef=")#([^")]+)')
_NAME = re.compile(r' id="([^"]*)"')
_WITHOUT = ("metadata", "style")  # a style would be that of the whole page


def inline(svg: str, label: str, colours: Mapping[str, str]) -> Html:
    """The picture for use inside HTML, as wide as its place.

    Args:
        svg: the whole file.
        label: what is said of it to those who do not see it.
        colours: what to write in place of a colour, by its code in the file.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for child in list(element):
            if _bare(child.tag) in _WITHOUT:
                element.remove(child)
    for element in root.iter():
        element.tag = _bare(element.tag)
        attributes = {_bare(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(attributes)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": label}
    whole = _own_names(ElementTree.tostring(root, encoding="unicode"))
    for code, colour in colours.items():
        whole = whole.replace(code, colour)
    return Html(whole)


def _bare(name: str) -> str:
    """A name without the XML namespace, which HTML knows by itself."""
    return name.rpartition("}")[2]


def _own_names(svg: str) -> str:
    """The same with the names of its parts unlike those of other pictures."""
    mark = hashlib.sha256(svg.encode()).hexdigest()[:8]
    used = set(_REFERENCE.findall(svg))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{mark}-{match[1]}"' if match[1] in used else ""

    return _NAME.sub(renamed, _REFERENCE.sub(rf"#{mark}-\1", svg))
