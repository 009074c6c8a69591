"""For PyInstaller: what a frozen program needs and the imports in the source do not show.

Backends are named in their registry and imported when a model is opened; public names are imported when they are used.
"""

from __future__ import annotations

import importlib.util

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("afformer")
hiddenimports = collect_submodules("afformer", on_error="ignore")
# What a frozen program does not need, `--exclude-module torch` leaves out.
hiddenimports += [name for name in ("openvino", "torch") if importlib.util.find_spec(name)]
