"""Search: the recipe that fulfils a wish within a budget of minutes.

Trials are runs; Optuna chooses, our tables remember. What belongs here: the wish and its parser, the space of recipes
(made from their schema), the sampler, the arithmetic of the budget, the driver, and the answer. Nothing here imports
TensorFlow.
"""
