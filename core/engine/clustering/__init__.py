"""Weights that share few values: codebooks, rounding to them layer by layer, and files that keep them.

``codebook`` finds a layer's values, ``rounding`` assigns weights to them with the error made up for, ``solver`` joins
both to what ``core.engine.reconstruction`` calls a solver, ``training`` fine-tunes the values with TFMOT, and
``shared_scale`` keeps them few in an int8 file.
"""
