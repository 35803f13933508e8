"""Measure the welcome page's example: ``python -m benchmarks.welcome --data PHOTOS``.

EfficientNet-Lite0 in float32 against int8 on labelled photos, by the same measurement as every run, written to
``models/efficientnet-lite0/measured.json``. Run it on a quiet machine: the page says which one it was.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import batches, match_labels, open_dataset
from core.experiments.environment import environment
from core.measurement.measuring import measure
from core.settings import settings
from core.zoo import Library

MODEL = "efficientnet-lite0"


def main() -> None:
    """Measure both forms and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="class folders, or a .zip of them")
    options = parser.parse_args()
    library = Library(settings())
    library.prepare(names=[MODEL])
    card = library.card(MODEL)
    data = open_dataset(options.data, settings())
    targets = match_labels(data, library.labels(card), library.aliases(card))
    found = measure(library.artifact(MODEL, "float32"), library.artifact(MODEL, "int8"),
                    lambda: batches(data, np.arange(len(data)), card.preprocessing, 32), targets)
    forms: dict[str, Any] = {}
    for name, side in (("float32", found.baseline), ("int8", found.compressed)):
        if side.accuracy is None:
            raise RuntimeError("labelled photos have an accuracy")
        forms[name] = {"bytes": side.size.tflite_bytes, "p50_ms": round(side.latency_ms.p50, 2),
                       "top1": side.accuracy.top1.model_dump(include={"value", "low", "high"})}
    content = {
        "date": datetime.now(UTC).date().isoformat(), "command": "python -m benchmarks.welcome", "photos": len(data),
        "processor": environment(1)["processor"], "forms": forms,
    }
    path = settings().models_folder / MODEL / "measured.json"
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
