"""What is asked of every page: right markup, nothing from outside, unlike names."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr"}
# Loads or runs something, or sends the reader elsewhere.
FOREIGN = {"script", "link", "iframe", "object", "embed", "a", "form", "base"}


class Page(HTMLParser):
    """A page taken apart; raises AssertionError where it is not right."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.names, self.used = [], [], set()
        self.elements, self.words = [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        assert len(self.names) == len(set(self.names)), "two of one name"
        assert self.used <= set(self.names), "a reference to nothing"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}"
        assert tag not in FOREIGN, tag
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag == "img":
            assert attributes["src"].startswith("data:image/")
            assert "alt" in attributes
        if "href" in attributes:
            assert attributes["href"].startswith("#")
            self.used.add(attributes["href"][1:])
        if "id" in attributes:
            self.names.append(attributes["id"])
        assert "url(" not in attributes.get("style", "")
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
