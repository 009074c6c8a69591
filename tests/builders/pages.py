"""What a browser makes of an HTML report."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class _Balance(HTMLParser):
    """Fails on a tag that is closed out of order or never."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another one"


def assert_well_formed(page: str) -> None:
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []


def assert_loads_nothing(page: str) -> None:
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert "url(" not in page
    assert "<script" not in page


def text_of(page: str) -> str:
    """The text between the tags, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))
