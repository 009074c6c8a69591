from __future__ import annotations

from pathlib import Path

from afformer.version import __version__

HEADER = Path(__file__).parents[1] / "cpp/include/afformer/afformer.h"


def test_the_cpp_header_has_the_version_of_the_package() -> None:
    assert f'#define AFFORMER_VERSION "{__version__}"\n' in HEADER.read_text()
