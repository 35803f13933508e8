"""LiteRT: from prepared pixels to ranked classes, in milliseconds."""
