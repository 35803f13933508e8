"""Quantization-aware training: a model in a form that TFMOT can train, its ranges, its ties and its file."""
