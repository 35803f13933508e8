"""Shared values that learn: TFMOT's clustering on a folded model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras import cluster_config, cluster_wrapper

from core.engine.methods.frame import Array, Context, State
from core.engine.probabilities import predict
from core.engine.watching import Watch
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.cluster import Cluster


def train(
    step: Cluster, model: tf_keras.Model, layers: Collection[str], zeros: bool, state: State, context: Context
) -> list[float]:
    """Cluster ``layers`` of ``model`` in place while it trains; return the loss of each epoch.

    Parameters
    ----------
    zeros
        Whether weights that are zero must stay zero.

    Raises
    ------
    InputError
        If there are no images to train on.
    """
    if len(context.recovery) < 2:
        raise InputError(N_("Clustering with training needs images to train on. Add some, or choose one shot."))
    wrapped = _wrap(step, model, layers, zeros)
    if step.labels and context.targets is not None:
        targets, loss = context.targets, "sparse_categorical_crossentropy"
    else:
        targets, loss = predict(state.original, context.recovery), "kl_divergence"
    steps = step.epochs * -(-len(context.recovery) // step.batch_size)
    wrapped.compile(tf_keras.optimizers.Adam(tf_keras.optimizers.schedules.CosineDecay(step.learning_rate, steps)),
                    loss)
    history = wrapped.fit(
        context.recovery, targets, step.batch_size, epochs=step.epochs, verbose=0,
        callbacks=[Watch(context, steps, N_("Clustering and training"))])
    for layer in wrapped.layers:
        _unwrap(layer, model)
    return [float(x) for x in history.history["loss"]]


def _wrap(step: Cluster, model: tf_keras.Model, layers: Collection[str], zeros: bool) -> tf_keras.Model:
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())

    def one(layer: tf_keras.layers.Layer) -> Any:
        if layer.name not in layers or step.clusters >= _sharing(step, layer):
            return layer
        return cluster_wrapper.ClusterWeights(
            layer, step.clusters, cluster_config.CentroidInitialization.KMEANS_PLUS_PLUS, preserve_sparsity=zeros,
            cluster_per_channel=step.per == "channel")

    return tf_keras.models.clone_model(copy, clone_function=one)


def _sharing(step: Cluster, layer: tf_keras.layers.Layer) -> int:
    """Return how many weights share one set of values; with no more of them than values, each has its own already."""
    shape = tuple(layer.kernel.shape)
    return int(np.prod(shape[:-1] if step.per == "channel" and len(shape) == 4 else shape))


def _unwrap(layer: Any, model: tf_keras.Model) -> None:
    """Give the trained weights of one layer to its namesake in ``model``."""
    if not isinstance(layer, cluster_wrapper.ClusterWeights):
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
        return
    target = model.get_layer(layer.layer.name)
    layer.update_clustered_weights_associations()
    kernel: Array = layer.get_weight_from_layer("kernel").numpy()
    target.kernel.assign(kernel)
    if target.use_bias:
        target.bias.assign(layer.layer.bias)
