"""A hook of MkDocs: brings what the pages link to outside docs/ into the site.

In the site, the pages of docs/ lie at the top, and every other file where it lies in the repository. So README.md is
the start page, cpp/README.md the page of the C++ library, and a program such as examples/robot_loop.py a page with its
text. Links are written for the repository, where they work too; they are rewritten here, by the same rule.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
_LINK = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")
_LANGUAGES = {
    ".py": "python",
    ".cpp": "cpp",
    ".c": "c",
    ".h": "c",
    ".txt": "cmake",
    ".conf": "nginx",
    ".service": "ini",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds README, changelog, and all files outside docs/ that these and the pages of docs/ link to."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / DOCS).glob("*.md"))]
    waiting = [page.relative_to(ROOT).as_posix() for page in pages]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith(DOCS):
            files.append(_site_file(path, config))
        found = set(_links(path)) - seen
        seen |= found
        waiting += sorted(found)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points the links of a page to where their targets are in the site."""
    here = _repository_path(page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        place = _site_path(_target(here, link[2]))
        return link[1] + posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")

    return _LINK.sub(rewritten, markdown)


def _links(path: str) -> list[str]:
    """What a page links to, in the repository."""
    if not path.endswith(".md"):
        return []
    targets = [_target(path, link[1]) for link in _LINK.findall((ROOT / path).read_text("utf-8"))]
    return [target for target in targets if (ROOT / target).is_file()]  # MkDocs reports the others


def _target(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _is_text(path: str) -> bool:
    return posixpath.splitext(path)[1] in _LANGUAGES or posixpath.basename(path) == "Dockerfile"


def _site_path(path: str) -> str:
    """Where a file of the repository is in the site."""
    return path.removeprefix(DOCS) + (".md" if _is_text(path) else "")


def _repository_path(site: str) -> str:
    return site if (ROOT / site).is_file() else DOCS + site


def _site_file(path: str, config: MkDocsConfig) -> File:
    if not _is_text(path):
        return File.generated(config, _site_path(path), abs_src_path=str(ROOT / path))
    language = _LANGUAGES.get(posixpath.splitext(path)[1], "text")
    text = f"# {path}\n\n```{language}\n{(ROOT / path).read_text('utf-8')}\n```\n"
    return File.generated(config, _site_path(path), content=text, inclusion=InclusionLevel.NOT_IN_NAV)
