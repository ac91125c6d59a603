"""Time of `finer prepare cub` on 11,788 files, beside reading the size of every file and nothing else.

    python benchmarks/prepare.py --lists FOLDER_WITH_THE_OFFICIAL_CUB_TEXT_FILES

The folder needs only the text files; empty pictures of one byte are made beside a copy of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from record import save


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lists", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FINER_DATA_DIR"] = f"{folder}/data"
        from finer_tasks.datasets.prepare import Request, prepare

        root = Path(folder) / "CUB_200_2011"
        root.mkdir()
        for name in ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"):
            shutil.copy(arguments.lists / name, root / name)
        files = [root / "images" / line.split()[1] for line in (root / "images.txt").read_text().splitlines()]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        sizes, whole = [], []
        for _ in range(3):
            started = time.perf_counter()
            assert sum(file.stat().st_size for file in files) == len(files)
            sizes.append(time.perf_counter() - started)
            started = time.perf_counter()
            prepared = prepare(Request("cub", root))
            whole.append(time.perf_counter() - started)
        written = sum(path.stat().st_size for path in prepared.folder.rglob("*") if path.is_file())
    save(
        "prepare",
        {
            "images": len(files),
            "prepare_seconds": round(min(whole), 2),
            "reading_sizes_seconds": round(min(sizes), 3),
            "images_per_second": round(len(files) / min(whole)),
            "bytes_written_per_image": round(written / len(files)),
        },
    )


if __name__ == "__main__":
    main()
