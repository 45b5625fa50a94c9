"""A page as its readers and their programs see it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "path", "circle", "rect"}


class Reader(HTMLParser):
    """Every element with its attributes and its text, and whether they are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "within": [one["tag"] for one in self.open]}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def tables(self):
        """By title, the rows of each table: texts of their cells."""
        found, rows = {}, None
        for element in self.elements:
            if element["tag"] == "table":
                rows = []
            elif element["tag"] == "span" and element["attrs"].get("class") == "title":
                found[clean(element["text"])] = rows
            elif element["tag"] == "tr":
                rows.append([])
            elif element["tag"] in ("th", "td"):
                rows[-1].append(clean(element["text"]))
        return found


def clean(text):
    """With plain blanks."""
    return " ".join(text.replace("\u00a0", " ").split())
