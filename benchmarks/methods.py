"""Every method at several strengths, with every measure: ``python -m benchmarks.methods [--quick]``.

On the digits model with its own splits, and on efficientnet-lite0 with a folder or zip of labelled photos
(``--data``): one half, chosen by the seed, calibrates and recovers, the other half tests. With ``--narrow``, a folder
or zip with ``train`` and ``validation`` parts of few classes, also on the same network with a last layer for these:
what helps on a thousand kinds of things may harm on ten. What is measured is the ``.tflite`` file, through LiteRT.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import batches, match_labels, open_dataset, split
from core.measurement.measuring import measure, predict
from core.recipes import load_recipe
from core.settings import settings
from core.zoo import Library, ModelCard

Array = np.ndarray[Any, np.dtype[Any]]
INT8 = {"step": "quantize", "scheme": "int8"}
QUANTIZED: list[list[dict[str, Any]]] = [
    [{"step": "quantize", "scheme": "float16"}],
    [{"step": "quantize", "scheme": "dynamic"}],
    [{"step": "quantize", "scheme": "dynamic", "engine": "converter"}],
    [INT8],
    [INT8 | {"engine": "ai-edge-quantizer"}],
    [INT8 | {"keep_float": 3}],
    [{"step": "quantize", "scheme": "int16x8"}],
    [{"step": "quantize", "scheme": "int4"}],
]
QAT = {"step": "quantization_aware_training"}
PRUNED = {"step": "magnitude", "sparsity": 0.8, "epochs": 12}
HALF = {"step": "magnitude", "sparsity": 0.5, "epochs": 12}
CLUSTERED = {"step": "cluster", "clusters": 16}
# What only a training with rounding can mend, each beside plain int8.
AWARE: list[list[dict[str, Any]]] = [
    [*before, last] for before in ([], [PRUNED], [{"step": "magnitude", "sparsity": 0.5}], [CLUSTERED],
                                   [HALF, CLUSTERED], [PRUNED, CLUSTERED]) for last in (QAT, INT8)
]
MIXED: list[list[dict[str, Any]]] = [[{"step": "mixed_precision", "budget": b}] for b in (0.22, 0.19, 0.16)]
LABEL_FREE: list[list[dict[str, Any]]] = [
    *([{"step": "reconstruction", "sparsity": s}] for s in (0.3, 0.5, 0.6, 0.7)),
    [{"step": "reconstruction", "sparsity": 0.5}, INT8],
    *([{"step": "magnitude", "sparsity": s}, {"step": "recalibrate"}] for s in (0.3, 0.5)),
]
TRAINED: list[list[dict[str, Any]]] = [
    *([{"step": "magnitude", "sparsity": s, "epochs": 12}] for s in (0.5, 0.8, 0.9)),
    [{"step": "magnitude", "sparsity": 0.8, "epochs": 12}, INT8],
    [{"step": "magnitude", "sparsity": 0.8, "epochs": 12, "allocation": "erk"}],
    [{"step": "magnitude", "sparsity": 0.8, "epochs": 12, "granularity": "block"}],
    [{"step": "magnitude", "granularity": "2:4", "epochs": 6}],
    [{"step": "magnitude", "sparsity": 0.6}, {"step": "distill", "minutes": 0.5, "learning_rate": 1e-3}],
]
QUICK = [[INT8], [{"step": "magnitude", "sparsity": 0.8, "epochs": 12}, INT8]]
QUICK_PHOTOS = [[INT8], [{"step": "reconstruction", "sparsity": 0.5}]]
FITTED = 2000
"""Images that the last layer of the narrow model is fitted to."""


@dataclass(frozen=True)
class Subject:
    """A model and its images: prepared, float32 [n, h, w, c], with the model's classes, int64 [n]."""

    card: ModelCard
    baseline: Path
    train: Array
    train_targets: Array
    test: Array
    targets: Array
    model: Any = None  # where it is not the card's own

    def batches(self) -> Iterator[Array]:
        """Yield the test images 32 at a time."""
        for start in range(0, len(self.test), 32):
            yield self.test[start: start + 32]


def prepared(data: Any, indices: Array, card: ModelCard) -> Array:
    """Return prepared images, float32 [n, h, w, c]."""
    return np.concatenate(list(batches(data, indices, card.preprocessing)))


def digits(library: Library) -> Subject:
    """Return the digits model with its train and test splits."""
    card = library.card("digits")
    parts = {name: open_dataset("digits", settings(), split=name) for name in ("train", "test")}
    arrays = {name: prepared(p, np.arange(len(p)), card) for name, p in parts.items()}
    return Subject(card, library.artifact(card.name, "float32"), arrays["train"],
                   np.asarray(parts["train"].targets), arrays["test"], np.asarray(parts["test"].targets))


def photos(library: Library, path: Path, seed: int) -> Subject:
    """Return efficientnet-lite0 with labelled photos, halved by the seed."""
    card = library.card("efficientnet-lite0")
    data = open_dataset(path, settings())
    # One photo per class cannot be stratified: the halves are cut from a plain permutation.
    parts = split(len(data), seed, train=len(data) // 2, test=None)
    targets = match_labels(data, library.labels(card), library.aliases(card))
    return Subject(card, library.artifact(card.name, "float32"), prepared(data, parts["train"], card),
                   targets[parts["train"]], prepared(data, parts["test"], card), targets[parts["test"]])


def narrow(library: Library, path: Path, seed: int, folder: Path) -> Subject:
    """Return efficientnet-lite0 with a last layer fitted to the classes of ``path``; 250 of its images calibrate."""
    import tf_keras
    from sklearn.linear_model import LogisticRegression

    from core.engine.base import load_base
    from core.engine.convert import to_tflite

    card = library.card("efficientnet-lite0")
    train, test = (open_dataset(path, settings(), split=part) for part in ("train", "validation"))
    chosen = np.random.default_rng(seed).permutation(len(train))[:FITTED]
    images, targets = prepared(train, chosen, card), np.asarray(train.targets)[chosen]
    whole = load_base(card, settings())
    last = [layer for layer in whole.layers if isinstance(layer, tf_keras.layers.Dense)][-1]
    features = tf_keras.Model(whole.input, last.input).predict(images, batch_size=32, verbose=0)
    fitted = LogisticRegression(C=0.1, max_iter=300).fit(features, targets)
    layer = tf_keras.layers.Dense(len(fitted.classes_), activation="softmax", name="kinds")
    model = tf_keras.Model(whole.input, layer(last.input), name="narrow")
    layer.set_weights([fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32)])
    baseline = folder / "narrow.tflite"
    baseline.write_bytes(to_tflite(model, scheme="float32"))
    return Subject(card, baseline, images[:250], targets[:250], prepared(test, np.arange(len(test)), card),
                   np.asarray(test.targets), model)


def row(subject: Subject, steps: list[dict[str, Any]], seed: int, before: Array) -> dict[str, Any]:
    """Compress and measure once."""
    from core.engine.base import load_base
    from core.engine.pipeline import RunData, run_recipe
    from core.engine.reconstruction.graph import copy_of

    recipe = load_recipe({"name": "benchmark", "steps": steps})
    model = load_base(subject.card, settings()) if subject.model is None else copy_of(subject.model)
    data = RunData(subject.train, subject.train, subject.train_targets)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        made = run_recipe(model, recipe, data, Path(folder), seed=seed, cache=settings().home / "cache")
        seconds = time.perf_counter() - started
        found = measure(subject.baseline, made.tflite, subject.batches, subject.targets, seed=seed,
                        baseline_probabilities=before)
    comparison, size = found.comparison, found.compressed.size
    findings = [f["code"] for record in made.steps for f in record["findings"]]
    return {
        "model": subject.card.name if subject.model is None else subject.model.name,
        "recipe": recipe.model_dump(mode="json")["steps"],
        "name": " + ".join(f"{s.kind} {' '.join(str(v) for v in s.changes().values())}" for s in recipe.steps),
        "top1": found.compressed.accuracy.model_dump() if found.compressed.accuracy else None,
        "comparison": comparison.model_dump(), "size": size.model_dump(),
        "zstd_ratio": found.baseline.size.zstd_bytes / size.zstd_bytes,
        "latency_ms": found.compressed.latency_ms.model_dump(),
        "latency_verdict": found.details.latency.verdict,
        "peak_memory_bytes": found.compressed.peak_memory_bytes, "seconds": round(seconds, 1),
        "findings": findings + [f["code"] for f in made.findings],
    }


def main() -> int:
    """Print a table row by row, then everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two recipes per model")
    parser.add_argument("--data", type=Path, help="labelled photos for efficientnet-lite0")
    parser.add_argument("--narrow", type=Path, help="labelled photos of few classes, parted into train and validation")
    parser.add_argument("--model", choices=["digits", "efficientnet-lite0"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the JSON here instead of printing it")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    library = Library(settings())
    library.prepare()
    rows: list[dict[str, Any]] = []
    print("| model | recipe | top-1 | difference (points) | file | gzip | zstd | faster | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for subject, recipes in jobs(options, library, Path(folder)):
            before = predict(subject.baseline, subject.batches())
            for steps in recipes:
                rows.append(row(subject, steps, options.seed, before))
                print(table_row(rows[-1]), flush=True)
    document = json.dumps(rows, indent=1, default=str)
    if options.json:
        options.json.write_text(document, "utf-8")
    else:
        print(document)
    return 0


def jobs(
    options: argparse.Namespace, library: Library, folder: Path
) -> Iterator[tuple[Subject, list[list[dict[str, Any]]]]]:
    """Yield what was asked for: models with their images, and the recipes for each."""
    large = QUICK_PHOTOS if options.quick else [*QUANTIZED, *MIXED, *LABEL_FREE]
    if options.model in (None, "digits"):
        yield digits(library), QUICK if options.quick else [*QUANTIZED, *MIXED, *LABEL_FREE, *TRAINED, *AWARE]
    if options.model in (None, "efficientnet-lite0"):
        if options.data is not None:
            yield photos(library, options.data, options.seed), large
        if options.narrow is not None:
            yield narrow(library, options.narrow, options.seed, folder), large


def table_row(found: dict[str, Any]) -> str:
    """Return one line of the table; ratios are baseline divided by compressed."""
    comparison, top1 = found["comparison"], found["top1"]["top1"]
    difference, latency = comparison["top1_difference"], comparison["latency_ratio"]
    change = (f"{100 * difference['value']:+.1f} [{100 * difference['low']:+.1f}, "
              f"{100 * difference['high']:+.1f}]")
    return (f"| {found['model']} | {found['name']} | {top1['value']:.3f} | {change} "
            f"| {comparison['size_ratio']:.2f} | {comparison['gzip_ratio']:.2f} "
            f"| {found['zstd_ratio']:.2f} "
            f"| {latency['value']:.2f} ({found['latency_verdict']}) | {found['seconds']:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
