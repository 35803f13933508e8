"""Honest numbers: size, latency, memory, accuracy and the statistics that compare them.

Here belong functions from a ``.tflite`` file, probabilities or raw times to plain records:
``measuring.measure`` for a pair of models, ``promises.check`` for what a recipe promised, and the
parts they are made of. Nothing here needs TensorFlow, and nothing is kept: what is measured twice is
measured anew.
"""
