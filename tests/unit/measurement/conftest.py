"""Real ``.tflite`` files, written once per session by TensorFlow in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.settings import ROOT


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small network as float, float16, dynamic, sparse and int8 files."""
    folder = tmp_path_factory.mktemp("forms")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.measurement.make_models", str(folder)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="session")
def kernels(forms: Path) -> dict[str, np.ndarray]:
    """The Keras kernels by layer, as trained."""
    with np.load(forms / "weights.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def reference(forms: Path) -> dict[str, np.ndarray]:
    """Images [40, 16, 16, 3] and the Keras model's probabilities on them [40, 5]."""
    with np.load(forms / "reference.npz") as file:
        return dict(file)
