"""Time and peak memory of preparing iNaturalist 2021's training list at its real length.

    python benchmarks/inat_scale.py [--images 2686843]

The list is made up in the official format; all its entries point at one picture, so that disk and
file system play no part.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from record import save

SPECIES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2_686_843)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FINER_DATA_DIR"] = f"{folder}/data"
        from finer_tasks.datasets.prepare import Request, prepare

        root = Path(folder) / "inat"
        size = write_list(root, arguments.images)
        started = time.perf_counter()
        prepared = prepare(Request("inat", root, ("train",), allow_partial=True))
        seconds = time.perf_counter() - started
        assert prepared.manifest.splits["train"]["images"] == arguments.images
    save(
        "inat_scale",
        {
            "images": arguments.images,
            "list_megabytes": round(size / 1e6),
            "seconds": round(seconds),
            "images_per_second": round(arguments.images / seconds),
            "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        },
    )


def write_list(root: Path, images: int) -> int:
    """train.json and a val.json with the same categories; returns the bytes of train.json."""
    (root / "train").mkdir(parents=True)
    (root / "train" / "x.jpg").write_bytes(b"x")
    ranks = {"kingdom": "Animalia", "phylum": "Chordata", "class": "Aves", "order": "Passeriformes", "family": "Parulidae"}
    categories = [
        {"id": i, "name": f"Genus{i} species{i}", "common_name": f"Bird {i}", "supercategory": "Birds", "genus": f"Genus{i}"}
        | ranks
        for i in range(SPECIES)
    ]
    (root / "val.json").write_text(json.dumps({"categories": categories, "images": [], "annotations": []}))
    path = root / "train.json"
    with path.open("w") as file:
        file.write('{"info": {}, "images": [')
        for i in range(images):
            image = {
                "id": i,
                "width": 500,
                "height": 375,
                "file_name": "train/x.jpg",
                "license": 0,
                "rights_holder": "somebody",
            }
            image |= {
                "date": "2015-07-05 00:00:00+00:00",
                "latitude": 43.83486,
                "longitude": -71.22231,
                "location_uncertainty": 77,
            }
            file.write(("," if i else "") + json.dumps(image))
        file.write('], "categories": ' + json.dumps(categories) + ', "annotations": [')
        for i in range(images):
            file.write(("," if i else "") + json.dumps({"id": i, "image_id": i, "category_id": i % SPECIES}))
        file.write('], "licenses": []}')
    return path.stat().st_size


if __name__ == "__main__":
    main()
