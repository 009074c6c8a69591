"""Lays out the pages of the site: those of docs/, and what they link to elsewhere in the repository.

    python scripts/site_pages.py FOLDER

In the site, the pages of docs/ lie at the top, and every other file where it lies in the repository. So README.md is
the start page, cpp/README.md the page of the C++ library, and a program such as examples/robot_loop.py a page with its
text. Links are written for the repository, where they work too; they are rewritten here, by the same rule.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path

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


def lay_out(folder: Path) -> None:
    """Writes README, changelog, the pages of docs/, and all files that these link to, into a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / DOCS).glob("*.md"))]
    waiting = [page.relative_to(ROOT).as_posix() for page in pages]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        _write(path, folder / _site_path(path))
        found = set(_links(path)) - seen
        seen |= found
        waiting += sorted(found)


def _links(path: str) -> list[str]:
    """What a page links to, in the repository."""
    if not path.endswith(".md"):
        return []
    targets = [_target(path, link[1]) for link in _LINK.findall((ROOT / path).read_text("utf-8"))]
    return [target for target in targets if (ROOT / target).is_file()]  # Zensical reports the others


def _write(path: str, page: Path) -> None:
    """Writes a file of the repository as the site has it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".md"):
        page.write_text(_with_links_of_the_site(path), "utf-8")
    elif _is_text(path):
        language = _LANGUAGES.get(posixpath.splitext(path)[1], "text")
        page.write_text(f"# {path}\n\n```{language}\n{(ROOT / path).read_text('utf-8')}\n```\n", "utf-8")
    else:
        shutil.copyfile(ROOT / path, page)


def _with_links_of_the_site(path: str) -> str:
    """A page's text, its links pointed to where their targets are in the site."""
    here = posixpath.dirname(_site_path(path)) or "."

    def rewritten(link: re.Match[str]) -> str:
        return link[1] + posixpath.relpath(_site_path(_target(path, link[2])), here)

    return _LINK.sub(rewritten, (ROOT / path).read_text("utf-8"))


def _target(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _is_text(path: str) -> bool:
    return posixpath.splitext(path)[1] in _LANGUAGES or posixpath.basename(path) == "Dockerfile"


def _site_path(path: str) -> str:
    """Where a file of the repository is in the site."""
    return path.removeprefix(DOCS) + (".md" if _is_text(path) else "")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
