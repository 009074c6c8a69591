"""A folder of pictures to masks and a table of class shares, with a pool of threads.

    python examples/batch_folder.py tiny-camvid photos -o masks

One segmenter serves all threads: while one waits for the disk or decodes, another computes. What cannot be read is a
row with its error, and the rest is done. `afformer-cli infer MODEL FOLDER` does the like without a program.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from afformer import AfformerError, Segmenter, assets
from afformer.images import write_mask

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def segment_file(segment: Segmenter, picture: Path, mask: Path) -> dict[str, str]:
    """Writes a picture's mask; gives its row of the table: share of each class, or the error."""
    try:
        classmap = segment(picture)
        write_mask(mask, classmap, segment.spec.palette)
    except AfformerError as error:
        return {"picture": str(picture), "error": str(error)}
    shares = np.bincount(classmap.ravel(), minlength=len(segment.spec.classes)) / classmap.size
    return {"picture": str(picture), **{name: f"{s:.4f}" for name, s in zip(segment.spec.classes, shares, strict=True)}}


def segment_folder(model: str, folder: Path, out: Path, workers: int) -> int:
    """Writes the masks under the pictures' own relative names, and `shares.csv`; gives the number of failures."""
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise SystemExit(f"{folder}: has no pictures ({', '.join(sorted(SUFFIXES))})")
    # Two pictures may differ in their suffix alone, so the mask keeps it.
    masks = [out / f"{path.relative_to(folder)}.png" for path in pictures]
    for parent in {mask.parent for mask in masks}:
        parent.mkdir(parents=True, exist_ok=True)
    # One thread for each call of the model: as many calls run at once as there are workers.
    with Segmenter(assets.file_or_bundled(model), threads=1) as segment, ThreadPoolExecutor(workers) as pool:
        rows = list(pool.map(segment_file, [segment] * len(pictures), pictures, masks))
        columns = ["picture", *segment.spec.classes, "error"]
    with (out / "shares.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    return sum("error" in row for row in rows)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Segments all pictures of a folder.")
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    try:
        failures = segment_folder(options.model, options.folder, options.out, options.workers)
    except AfformerError as error:
        raise SystemExit(str(error)) from error
    if failures:
        sys.exit(f"{failures} pictures could not be segmented; {options.out / 'shares.csv'} says why")


if __name__ == "__main__":
    main()
