"""Labelled and unlabelled image sets, opened safely and read lazily.

Belongs here: where images come from (built in, class folders, zips, verified downloads), which class
each has, and how a set is divided. Nothing here knows what is done with them.
"""

from core.datasets.base import Dataset, Subset, digest_of, digests
from core.datasets.batching import batches, unreadable
from core.datasets.downloads import DOWNLOADS
from core.datasets.labels import match_labels
from core.datasets.opening import BUILT_IN, open_dataset, open_for_evaluation
from core.datasets.splitting import split

__all__ = [
    "BUILT_IN",
    "DOWNLOADS",
    "Dataset",
    "Subset",
    "batches",
    "digest_of",
    "digests",
    "match_labels",
    "open_dataset",
    "open_for_evaluation",
    "split",
    "unreadable",
]
