"""The model library: cards, labels, weights, and the .tflite files that serve them."""

from core.zoo.cards import InputSpec, Metric, ModelCard, Preprocessing, Source, Text, Weights
from core.zoo.library import Library, ServedModel, Status
from core.zoo.progress import Progress
from core.zoo.shelf import Shelf

__all__ = [
    "InputSpec", "Library", "Metric", "ModelCard", "Preprocessing", "Progress", "ServedModel", "Shelf",
    "Source", "Status", "Text", "Weights",
]
