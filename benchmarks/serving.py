"""How fast ways to serve one photo are, side by side: ``python -m benchmarks.serving``.

Every contender classifies the same prepared photos, one at a time, in a process of its own, so that
its resident memory is its own too. Rounds are interleaved: each contender in turn answers all photos
once, then the next round begins, so that a slow spell of the machine hits all of them. The reference
is ``model.predict``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS
from core.datasets import batches, open_dataset
from core.settings import ROOT, settings
from core.zoo import Library

REFERENCE, SLOWEST = "predict", "load-and-predict"
CALIBRATION = 200


def write_inputs(folder: Path, photos: int) -> None:
    """Write the photos, the calibration photos and the served files into ``folder``."""
    configuration = settings()
    library = Library(configuration)
    card = library.card("efficientnet-lite0")
    library.prepare(names=[card.name])
    for form in ("float32", "int8"):
        shutil.copyfile(library.artifact(card.name, form), folder / f"{form}.tflite")
    crops = open_dataset(f"photos:{CALIBRATION + photos}", configuration)
    arrays = np.concatenate(list(batches(crops, range(len(crops)), card.preprocessing)))
    np.save(folder / "calibration.npy", arrays[:CALIBRATION])
    np.save(folder / "photos.npy", arrays[CALIBRATION:])


def start(name: str, folder: Path, threads: int) -> subprocess.Popen[str]:
    """Start one contender and wait until it has loaded."""
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(threads),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.contenders", name, str(folder), str(threads)],
        cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    answer(child, name)
    return child


def answer(child: subprocess.Popen[str], name: str) -> Any:
    """Return the next JSON line of a contender; its end is an error."""
    line = child.stdout.readline() if child.stdout else ""
    if not line:
        raise SystemExit(f"the contender {name} ended early; run it alone to see why")
    return json.loads(line)


def ask(child: subprocess.Popen[str], name: str, photos: int) -> Any:
    """Let a contender classify ``photos`` photos once."""
    if child.stdin is not None:
        child.stdin.write(f"{photos}\n")
        child.stdin.flush()
    return answer(child, name)


def measure(folder: Path, names: list[str], photos: int, rounds: int, threads: int) -> list[Any]:
    """Return one row per contender: p50, p95, ratios to the reference, memory, agreement."""
    children = {name: start(name, folder, threads) for name in names}
    counts = {name: min(photos, 3) if name == SLOWEST else photos for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    last: dict[str, Any] = {}
    try:
        for number in range(rounds + 1):
            for name, child in children.items():
                last[name] = ask(child, name, counts[name])
                if number:  # the first round warms up
                    seconds[name] += last[name]["seconds"]
    finally:
        for child in children.values():
            if child.stdin is not None:
                child.stdin.close()
            child.wait(30)
    reference = np.percentile(seconds[REFERENCE], [50, 95])
    rows = []
    for name in names:
        p50, p95 = np.percentile(seconds[name], [50, 95])
        pairs = zip(last[name]["answers"], last[REFERENCE]["answers"], strict=False)
        rows.append({
            "contender": name, "what": CONTENDERS[name][0], "n": len(seconds[name]),
            "p50_ms": p50 * 1e3, "p95_ms": p95 * 1e3,
            "times_faster_p50": reference[0] / p50, "times_faster_p95": reference[1] / p95,
            "resident_mb": last[name]["rss"] / 1e6,
            "agreement": float(np.mean([a == b for a, b in pairs])),
        })
    return rows


def main() -> None:
    """Run the benchmark and print a table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description="Ways to serve one photo, compared in one run.")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder, options.photos)
        subprocess.run(
            [sys.executable, "-m", "benchmarks.contenders", "set-up", place], cwd=ROOT, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        missing = folder / "onnx-missing.txt"
        skipped = missing.read_text("utf-8") if missing.exists() else ""
        names = [name for name in CONTENDERS if not (skipped and name.startswith("onnx"))]
        rows = measure(folder, names, options.photos, options.rounds, options.threads)
    if options.as_json:
        print(json.dumps({"threads": options.threads, "photos": options.photos, "rows": rows,
                          "onnx_skipped": skipped or None}, indent=2))
        return
    print(f"{'contender':42}{'p50 ms':>9}{'p95 ms':>9}{'x p50':>8}{'x p95':>8}{'MB':>7}{'same':>7}")
    for row in rows:
        print(f"{row['what']:42}{row['p50_ms']:9.2f}{row['p95_ms']:9.2f}"
              f"{row['times_faster_p50']:8.1f}{row['times_faster_p95']:8.1f}"
              f"{row['resident_mb']:7.0f}{row['agreement']:7.2f}")
    if skipped:
        print(f"ONNX Runtime left out: {skipped}.")


if __name__ == "__main__":
    main()
