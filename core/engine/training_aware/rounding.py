"""TFMOT's fake quantization around every layer of a model, and the int8 file that follows from it.

The scheme is TFMOT's default one for 8 bits, after Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (CVPR 2018, arXiv:1712.05877), with three changes: kernels round also
where a ReLU layer follows directly (TFMOT leaves these whole), depthwise kernels have a scale per channel (TFMOT gives
them one in all), and convolutions of few shared values have one scale in all, so that they have as few integers. Dense
kernels have one scale: the converter cannot carry more through a transposition.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow_model_optimization.python.core.quantization.keras import quantize, quantize_wrapper, quantizers
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_configs,
    default_8bit_quantize_registry,
    default_8bit_quantize_scheme,
    default_8bit_transforms,
)
from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

from core.engine.reconstruction.graph import Graph
from core.engine.training_aware.rewriting import activation_name
from core.errors import InputError
from core.locales import N_

_Registry = default_8bit_quantize_registry
_Output = default_8bit_quantize_configs.Default8BitOutputQuantizeConfig


class ChannelQuantizer(quantizers.LastValueQuantizer):  # type: ignore[misc]
    """A symmetric scale for each channel, the last axis but for depthwise kernels, where it is the last two."""

    def __init__(self) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)

    def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
        """Make the ranges."""
        channels = tensor_shape[-1] * tensor_shape[-2] if self._depthwise(layer) else tensor_shape[-1]
        return self._add_range_weights(layer, name, True, (channels,))

    def __call__(self, inputs: Any, training: Any, weights: Any, **options: Any) -> Any:
        """Round to the grid."""
        shape = inputs.shape
        channels = weights["min_var"].shape[0]
        flat = inputs if channels == shape[-1] else tf.reshape(inputs, [1, *shape[:-2], channels])
        return tf.reshape(super().__call__(flat, training, weights, **options), shape)

    def get_config(self) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}

    @staticmethod
    def _depthwise(layer: Any) -> bool:
        return isinstance(layer.layer, tf_keras.layers.DepthwiseConv2D)


class ChannelConfig(_Registry.Default8BitQuantizeConfig):  # type: ignore[misc,name-defined]
    """TFMOT's configuration of a layer with a kernel, with a scale per channel."""

    def __init__(self, weight_attrs: Any, activation_attrs: Any, quantize_output: bool) -> None:
        super().__init__(weight_attrs, activation_attrs, quantize_output)
        self.weight_quantizer = ChannelQuantizer()


class _Layout:
    """What TFMOT changes in the graph before it wraps layers: what enters rounds, and a concatenation after it."""

    def apply(self, model: Any, layer_quantize_map: Any) -> Any:
        """Return the changed model and map."""
        changes = [default_8bit_transforms.InputLayerQuantize()] + [
            getattr(default_8bit_transforms, f"ConcatTransform{n}")() for n in _CONCATENATIONS]
        return model_transformer.ModelTransformer(
            model, changes, set(layer_quantize_map.keys()), layer_quantize_map).transform()


class _Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
    def get_layout_transformer(self) -> Any:
        return _Layout()


_CONCATENATIONS = ("6Inputs", "5Inputs", "4Inputs", "3Inputs", "")
_NAMES = {"ChannelQuantizer": ChannelQuantizer, "ChannelConfig": ChannelConfig,
          "Default8BitOutputQuantizeConfig": _Output}


def with_rounding(model: tf_keras.Model, one_scale: Collection[str]) -> tf_keras.Model:
    """Return a model of the same layer names whose layers round; the weights are copied.

    Parameters
    ----------
    model
        What :func:`~core.engine.training_aware.rewriting.rewritten` gives.
    one_scale
        Names of layers whose kernel has one scale for all channels.

    Raises
    ------
    InputError
        If TFMOT refuses the model.
    """
    before_relu = _read_by_relu(model)

    def annotated(layer: Any) -> Any:
        return quantize.quantize_annotate_layer(layer, _config(layer, one_scale, layer.name in before_relu))

    try:
        noted = tf_keras.models.clone_model(model, clone_function=annotated)
        noted.set_weights(model.get_weights())
        with quantize.quantize_scope(_NAMES):
            return quantize.quantize_apply(noted, _Scheme(), quantized_layer_name_prefix="")
    except (ValueError, RuntimeError, TypeError) as error:
        raise InputError(
            N_("TFMOT cannot train this model with rounding: {reason}. Use 'quantize' instead."),
            reason=(str(error).splitlines() or [""])[0][:200]) from error


def _config(layer: Any, one_scale: Collection[str], fused: bool) -> Any:
    """Return how ``layer`` rounds; ``fused`` with the ReLU after it, it leaves its outputs to that."""
    activations = [] if fused else ["activation"]
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        return ChannelConfig(["depthwise_kernel"], activations, False)
    if type(layer) in (tf_keras.layers.Conv2D, tf_keras.layers.Dense):
        single = type(layer) is tf_keras.layers.Dense or layer.name in one_scale
        kind = _Registry.Default8BitQuantizeConfig if single else ChannelConfig
        return kind(["kernel"], activations, False)
    if fused:
        return _Registry.Default8BitQuantizeConfig([], [], False)
    return None if _Registry.Default8BitQuantizeRegistry().supports(layer) else _Output()


def _read_by_relu(model: tf_keras.Model) -> set[str]:
    """Return the layers whose output only a ReLU reads that the converter fuses with them."""
    graph = Graph(model)
    found = set()
    for operation in graph.operations:
        readers = graph.consumers.get(operation.outputs[0], [])
        if isinstance(operation.layer, _FUSES) and len(readers) == 1 and _is_relu(readers[0].layer):
            found.add(str(operation.layer.name))
    return found


_FUSES = (tf_keras.layers.Conv2D, tf_keras.layers.DepthwiseConv2D, tf_keras.layers.Dense, tf_keras.layers.Add)


def _is_relu(layer: Any) -> bool:
    if isinstance(layer, tf_keras.layers.ReLU):
        return layer.max_value in (None, 6.0) and not layer.negative_slope and not layer.threshold
    return isinstance(layer, tf_keras.layers.Activation) and activation_name(layer) in ("relu", "relu6")


def wrappers(model: tf_keras.Model) -> dict[str, Any]:
    """Return the layers that round, by the name of the layer inside."""
    return {layer.layer.name: layer for layer in model.layers if isinstance(layer, quantize_wrapper.QuantizeWrapper)}


def kernels(model: tf_keras.Model) -> dict[str, Any]:
    """Return the trainable kernel of each layer that rounds its kernel, by name."""
    return {name: layer._weight_vars[0][0] for name, layer in wrappers(model).items() if layer._weight_vars}


def fit_weights(model: tf_keras.Model) -> None:
    """Give each kernel the range of its values as they are; training leaves that of one step before."""
    for layer in wrappers(model).values():
        for weight, quantizer, variables in layer._weight_vars:
            quantizer(weight, True, variables)


def plain(model: tf_keras.Model, like: tf_keras.Model) -> tf_keras.Model:
    """Give the trained weights of a model that rounds to ``like``, which has the same layers bare; return it."""
    inside = wrappers(model)
    for layer in like.layers:
        if layer.weights:
            trained = {_tail(w.name): w for w in inside[layer.name].weights}
            layer.set_weights([trained[_tail(w.name)].numpy() for w in layer.weights])
    return like


def to_int8(model: tf_keras.Model, io: str) -> bytes:
    """Return the int8 ``.tflite`` with the trained ranges; ``io`` is "float" or "int8".

    Raises
    ------
    InputError
        If the converter cannot express a layer.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        return bytes(converter.convert())
    except (ValueError, RuntimeError, ConverterError, tf.errors.OpError) as error:
        raise InputError(
            N_("The model cannot be written as a {scheme} TFLite file: {reason}"), scheme="int8",
            reason=(str(error).strip().splitlines() or [""])[0][:200]) from error


def _tail(name: str) -> str:
    return name.rsplit("/", 1)[-1]
