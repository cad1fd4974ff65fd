"""What a browser makes of a piece of HTML of ours."""

from html.parser import HTMLParser

ALLOWED = {"class", "title", "style", "role", "aria-label"}


class Texts(HTMLParser):
    """Its tags, its text and its tips; an attribute that we do not write fails the test."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.titles: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert given.keys() <= ALLOWED
        self.tags.add(tag)
        self.titles.add(given.get("title") or "")

    def handle_data(self, data: str) -> None:
        self.text += data
