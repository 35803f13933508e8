"""From the bytes of an upload to an upright RGB picture, and from a picture to a model's input."""
