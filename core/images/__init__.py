"""From the bytes of an upload to an upright RGB picture, and from a picture to a model's input.

Belongs here: everything that touches Pillow. Nothing here knows what a model or a dataset is.
"""

from core.images.names import display_name, has_hidden_characters
from core.images.preparing import Preprocessing, input_shape, prepare
from core.images.reading import (
    ASPECT_LIMIT,
    EXTENSIONS,
    SMALLEST_SIDE,
    as_picture,
    encode,
    read_photo,
    thumbnail,
)

__all__ = [
    "ASPECT_LIMIT",
    "EXTENSIONS",
    "SMALLEST_SIDE",
    "Preprocessing",
    "as_picture",
    "display_name",
    "encode",
    "has_hidden_characters",
    "input_shape",
    "prepare",
    "read_photo",
    "thumbnail",
]
