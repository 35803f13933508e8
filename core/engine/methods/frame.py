"""What a compression method is given, what it gives back, and how it is found by the kind of its step.

A method is one file, ``core/engine/methods/<kind>.py``, with one function::

    @implements("magnitude")
    def apply(step: Magnitude, state: State, context: Context) -> Outcome: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from core.errors import InputError, SecateurError
from core.locales import N_
from core.recipes import Step

if TYPE_CHECKING:
    import tf_keras

Array = np.ndarray[Any, np.dtype[Any]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Cancelled(SecateurError):  # noqa: N818 - not a failure
    """The person asked to stop; raised by ``Context.check_cancelled`` and by nothing else."""

    def __init__(self, message: str = N_("The run was cancelled."), **parameters: object) -> None:
        super().__init__(message, **parameters)


@dataclass(frozen=True)
class Finding:
    """Something that the person should know about a step: a template marked with ``N_`` and values.

    ``code`` is stable and short ("changed-nothing", "layer-skipped"), for tests and for grouping.
    """

    code: str
    message: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    severity: Literal["note", "warning"] = "note"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for the record of a run."""
        return {"code": self.code, "severity": self.severity, "message": self.message,
                "parameters": dict(self.parameters)}


@dataclass(frozen=True)
class Promise:
    """What the steps so far say about the artifact; each part is checked on the ``.tflite`` file.

    Attributes
    ----------
    zeros
        Layer name to the fraction of its kernel that is zero, at least.
    two_four
        Layers with at most two non-zero values in every four along the input channels.
    distinct
        Layer name to the largest number of distinct values in its kernel.
    grid
        Layer name to the scale of each output channel, of which the channel's weights are whole multiples up to 127.
    scheme
        "float32" or the scheme of the quantize step.
    io
        "float" or "int8".
    float_layers
        Layers that stay in float though ``scheme`` is an integer one.
    """

    zeros: Mapping[str, float] = field(default_factory=dict)
    two_four: tuple[str, ...] = ()
    distinct: Mapping[str, int] = field(default_factory=dict)
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    scheme: str = "float32"
    io: str = "float"
    float_layers: tuple[str, ...] = ()

    def also(self, **changes: Any) -> Promise:
        """Return a copy with some parts replaced."""
        return replace(self, **changes)


@dataclass(frozen=True)
class State:
    """A model on its way through a recipe.

    Attributes
    ----------
    model
        As the steps so far left it: a plain ``tf_keras`` model, no wrappers.
    original
        As the recipe found it. Methods read it and never change it.
    masks
        Layer name to the boolean mask of its kernel, in the kernel's shape, true where a weight lives. Every
        later step keeps the zeros of these masks.
    promise
        What the steps so far promised.
    reference
        ``model`` as a float32 ``.tflite`` file, when it has been converted already.
    """

    model: tf_keras.Model
    original: tf_keras.Model
    masks: Mapping[str, Mask] = field(default_factory=dict)
    promise: Promise = field(default_factory=Promise)
    reference: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """What a method did.

    Attributes
    ----------
    model
        The new model; the method may have changed ``state.model`` in place and give it back.
    masks, promise
        All masks and promises from now on, those of earlier steps included; None keeps them as they were.
    details
        Plain JSON-able data for the record, such as one row per layer.
    findings
        What the person should know.
    artifact
        The bytes of a ``.tflite`` file, when the step itself makes it; no step can follow.
    """

    model: tf_keras.Model
    masks: Mapping[str, Mask] | None = None
    promise: Promise | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    artifact: bytes | None = None


class Progress(Protocol):
    """Called often: the fraction of the step done, what is going on, and seconds left when known."""

    def __call__(self, fraction: float, stage: str = "", seconds_left: float | None = None) -> None:
        """Report."""


def silent(fraction: float, stage: str = "", seconds_left: float | None = None) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Context:
    """What surrounds a step.

    Attributes
    ----------
    calibration
        Prepared images, float32 [n, h, w, c], unlabelled; an array or a memory map (slice it, do not copy).
    recovery
        Prepared images for training, float32 [m, h, w, c]; may be the same as ``calibration``.
    targets
        Classes of the recovery images, int64 [m], or None without labels.
    seed
        For every random choice; derive generators with :meth:`rng`.
    progress, cancelled
        Callbacks. Call ``check_cancelled`` at least every two training steps and every layer.
    scratch
        A folder for temporary files, removed after the run.
    cache
        A folder for what depends only on the model and the data, such as a sensitivity profile; or None.
    synthetic
        Whether the calibration images are crops of bundled photos rather than the person's own, which makes
        the last layers look less sensitive than they are.
    """

    calibration: Array
    recovery: Array
    targets: Array | None = None
    seed: int = 0
    progress: Progress = silent
    cancelled: Callable[[], bool] = lambda: False
    scratch: Path = Path()
    cache: Path | None = None
    synthetic: bool = False

    def check_cancelled(self) -> None:
        """Raise :class:`Cancelled` if the person asked to stop."""
        if self.cancelled():
            raise Cancelled

    def rng(self, *purpose: int) -> np.random.Generator:
        """Return a generator that depends on the seed and on ``purpose`` only."""
        return np.random.default_rng([self.seed, *purpose])


Method = Callable[[Any, State, Context], Outcome]
MethodT = TypeVar("MethodT", bound=Method)

_METHODS: dict[str, Method] = {}


def implements(kind: str) -> Callable[[MethodT], MethodT]:
    """Make a function the implementation of a kind of step; used as a decorator."""
    def mark(function: MethodT) -> MethodT:
        _METHODS[kind] = function
        return function
    return mark


def method_for(step: Step) -> Method:
    """Return the function that carries out ``step``.

    Raises
    ------
    InputError
        If this installation has no such method.
    """
    if step.kind not in _METHODS:
        package = importlib.import_module("core.engine.methods")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name == step.kind:
                importlib.import_module(f"{package.__name__}.{module.name}")
    if step.kind not in _METHODS:
        raise InputError(N_("This installation cannot carry out the step '{kind}'."), kind=step.kind)
    return _METHODS[step.kind]


def kernels(model: tf_keras.Model) -> dict[str, Any]:
    """Return the kernel variable of every convolution and dense layer by layer name, in model order.

    Depthwise convolutions are not in it: they hold few weights and suffer most from losing any.
    """
    found = {}
    for layer in model.layers:
        if type(layer).__name__ in ("Conv2D", "Dense") and hasattr(layer, "kernel"):
            found[layer.name] = layer.kernel
    return found


def apply_masks(model: tf_keras.Model, masks: Mapping[str, Mask]) -> None:
    """Set to zero, in place, every kernel value that its mask does not keep."""
    variables = kernels(model)
    for name, mask in masks.items():
        variables[name].assign(variables[name].numpy() * mask)
