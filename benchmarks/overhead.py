"""Our magnitude pruning against the same written directly on TFMOT: ``python -m benchmarks.overhead``.

Both prune the digits model to 80 % with the polynomial schedule, the same images, labels, optimizer, batch
size, number of steps and seed, in turn, in processes of their own so that neither warms the other up. Seconds
are those of building, training and taking the wrappers off, without imports and without reading data.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

SPARSITY, BATCH, RATE, RAMP = 0.8, 32, 1e-3, 0.6


def ours(model: Any, x: Any, y: Any, epochs: int) -> Any:
    """Prune with the product's method."""
    from core.engine.methods.frame import Context, State, method_for
    from core.recipes import read_step

    step = read_step({"step": "magnitude", "sparsity": SPARSITY, "epochs": epochs, "learning_rate": RATE,
                      "batch_size": BATCH, "ramp": RAMP})
    return method_for(step)(step, State(model, model), Context(x, x, y)).model


def direct(model: Any, x: Any, y: Any, epochs: int) -> Any:
    """Prune as TFMOT's own guide does."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    steps = epochs * -(-len(x) // BATCH)
    end = round(RAMP * steps)
    every = max(1, end // 20)
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, SPARSITY, 0, end // every * every, frequency=every)

    def wrap(layer: Any) -> Any:
        if isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense)):
            return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)
        return layer

    wrapped = tf_keras.models.clone_model(model, clone_function=wrap)
    rate = tf_keras.optimizers.schedules.CosineDecay(RATE, steps)
    wrapped.compile(tf_keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    wrapped.fit(x, y, BATCH, epochs=epochs, verbose=0,
                callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    return tfmot.sparsity.keras.strip_pruning(wrapped)


def one(contender: str, epochs: int, seed: int) -> dict[str, float]:
    """Run one contender once in this process."""
    import tensorflow_model_optimization  # noqa: F401 - imported before the clock starts, for both
    import tf_keras

    from core.engine.base import load_base
    from core.engine.digits import splits
    from core.engine.probabilities import predict
    from core.settings import settings
    from core.zoo import Library

    configuration = settings()
    model = load_base(Library(configuration).card("digits"), configuration)
    parts = splits(configuration)
    tf_keras.utils.set_random_seed(seed)
    started = time.perf_counter()
    pruned = {"ours": ours, "direct": direct}[contender](model, *parts["train"], epochs)
    seconds = time.perf_counter() - started
    x, y = parts["test"]
    kernels = [w.numpy() for w in pruned.weights if "kernel" in w.name]
    return {
        "seconds": seconds, "accuracy": float((predict(pruned, x).argmax(1) == y).mean()),
        "zeros": sum(int((k == 0).sum()) for k in kernels) / sum(k.size for k in kernels),
        "test_images": len(x),
    }


def child(contender: str, epochs: int, seed: int) -> dict[str, float]:
    """Run one contender once in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.overhead", "--one", contender, "--epochs", str(epochs),
               "--seed", str(seed)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a table and a JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", choices=["ours", "direct"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.epochs, options.seed)))
        return
    runs: dict[str, list[dict[str, float]]] = {"direct": [], "ours": []}
    for repeat in range(options.repeats):
        order = ["direct", "ours"] if repeat % 2 == 0 else ["ours", "direct"]
        for name in order:
            runs[name].append(child(name, options.epochs, options.seed + repeat))
    print(f"{'':8} {'seconds':>9} {'accuracy':>9} {'zeros':>7}")
    for name, found in runs.items():
        print(f"{name:8} {statistics.median(r['seconds'] for r in found):9.2f} "
              f"{statistics.mean(r['accuracy'] for r in found):9.4f} "
              f"{statistics.mean(r['zeros'] for r in found):7.4f}")
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(runs["ours"], runs["direct"], strict=True)]
    differences = [a["accuracy"] - b["accuracy"]
                   for a, b in zip(runs["ours"], runs["direct"], strict=True)]
    summary = {"time_ratio": statistics.median(ratios), "time_ratios": [round(r, 3) for r in ratios],
               "accuracy_difference": float(np.mean(differences)), "runs": runs}
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
