"""What two models answered on the test images of a run, kept so that runs can be compared image by image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import StorageError
from core.locales import N_


@dataclass(frozen=True)
class Predictions:
    """Answers on n test images, in the order of the test set.

    Attributes
    ----------
    images
        unicode [n], the id of each image within its data.
    targets
        int64 [n] right classes, or None without labels.
    baseline, compressed
        int64 [n], the class of the largest probability.
    baseline_confidence, compressed_confidence
        float32 [n], that probability.
    """

    images: npt.NDArray[np.str_]
    targets: npt.NDArray[np.int64] | None
    baseline: npt.NDArray[np.int64]
    compressed: npt.NDArray[np.int64]
    baseline_confidence: npt.NDArray[np.float32]
    compressed_confidence: npt.NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write to a compressed ``.npz`` without pickled objects."""
        arrays = {name: value for name, value in vars(self).items() if value is not None}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote.

        Raises
        ------
        StorageError
            If the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return cls(targets=arrays.pop("targets", None), **arrays)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StorageError(
                N_("The predictions of a run cannot be read. Run it again to compare it.")
            ) from error
