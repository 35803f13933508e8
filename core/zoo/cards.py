"""What a model is, written down: the schema of ``models/<name>/card.yaml``.

The idea of a card beside every model is Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import InputError
from core.locales import N_

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,79}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_Strict):
    """The shape of one example, in pixels and channels."""

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(height, width, channels)``."""
        return self.height, self.width, self.channels


class Preprocessing(_Strict):
    """From an upright picture to the model's input, as plain data that needs no code of the model's own.

    ``short-side-crop`` scales the short side to ``resize_to`` and cuts the centre ``crop`` square;
    ``stretch`` scales both sides to the input, changing the aspect ratio; ``fit`` scales the whole picture
    into the input and fills the rest with black. Then each channel becomes ``(x - mean) / std`` where ``x``
    is between 0 and 255, after ``255 - x`` if ``invert``.
    """

    resize: Literal["short-side-crop", "stretch", "fit"]
    resize_to: int = Field(ge=1, le=4096)
    interpolation: Literal["bicubic", "bilinear", "nearest", "area"] = "bilinear"
    crop: int | None = Field(None, ge=1, le=4096)
    channel_order: Literal["rgb", "bgr"] = "rgb"
    mean: list[float] = Field(min_length=1, max_length=3)
    std: list[float] = Field(min_length=1, max_length=3)
    color: Literal["rgb", "grayscale"] = "rgb"
    invert: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Preprocessing:
        channels = 3 if self.color == "rgb" else 1
        if {len(self.mean), len(self.std)} - {1, channels}:
            raise ValueError(f"mean and std need one value, or one for each of {channels} channels")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be positive")
        if self.resize == "short-side-crop" and (self.crop is None or self.crop > self.resize_to):
            raise ValueError("short-side-crop needs a crop no larger than resize_to")
        return self


class Weights(_Strict):
    """Where the weights come from.

    ``package``: a file of a pinned PyPI package; ``file``: beside the card; ``user``: a ``.h5`` that a person
    places in the data folder; ``canonical``: architecture as JSON and arrays as ``.npz`` beside the card;
    ``none``: the card serves finished ``.tflite`` files only.
    """

    kind: Literal["package", "file", "user", "canonical", "none"]
    package: str = ""
    version: str = ""
    file: str = Field("", pattern=r"^([\w-][\w.-]*)?$")
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class Metric(_Strict):
    """One figure about a model, and how it was measured."""

    name: str
    value: float
    n: int | None = Field(None, ge=1)
    form: str = "float32"
    how: str


class Source(_Strict):
    """Who made the model, and where that is written."""

    author: str = ""
    url: str = ""
    citation: str = ""


class Text(_Strict):
    """What a person reads about a model, in one language."""

    title: str = Field(min_length=1, max_length=120)
    description: str = ""
    how_to_add: str = ""


class ModelCard(_Strict):
    """Everything that serving, scoring and compressing a model needs to know about it."""

    name: str = Field(pattern=NAME_PATTERN)
    kind: Literal["base", "variant"] = "base"
    task: Literal["image-classification"] = "image-classification"
    title: str = Field(min_length=1, max_length=120)
    description: str = ""
    how_to_add: str = ""
    translations: dict[str, Text] = {}
    input: InputSpec
    preprocessing: Preprocessing
    classes: int = Field(ge=2, le=100_000)
    labels: str = Field("labels.csv", pattern=r"^[\w-][\w.-]*$")
    labels_languages: list[str] = ["en"]
    parameters: int | None = Field(None, ge=0)
    licence: str
    source: Source = Source()
    metrics: list[Metric] = []
    weights: Weights = Weights(kind="none")
    architecture: str = ""
    forms: list[str] = Field(default=["float32", "int8"], min_length=1)
    files: dict[str, str] = {}
    base: str | None = None
    owner: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        channels = 3 if self.preprocessing.color == "rgb" else 1
        if channels != self.input.channels:
            raise ValueError("preprocessing.color does not match input.channels")
        crop = self.preprocessing.crop
        if crop is not None and (crop, crop) != (self.input.height, self.input.width):
            raise ValueError("preprocessing.crop does not match the input")
        return self

    def text(self, language: str = "en") -> Text:
        """Return title, description and instructions in ``language``, in English where it lacks one."""
        english = Text(title=self.title, description=self.description, how_to_add=self.how_to_add)
        translated = self.translations.get(language)
        if translated is None:
            return english
        return Text(
            title=translated.title,
            description=translated.description or english.description,
            how_to_add=translated.how_to_add or english.how_to_add,
        )


def read_card(path: Path) -> ModelCard:
    """Read and check one ``card.yaml``.

    Raises
    ------
    InputError
        If the file is not YAML or a field is missing, unknown or out of bounds; the message names it.
    """
    try:
        return ModelCard.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "card"
        raise InputError(
            N_("The model card {file} cannot be used: {field}: {reason}. Correct that field."),
            file=f"{path.parent.name}/{path.name}", field=field, reason=first["msg"],
        ) from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            N_("The model card {file} is not readable YAML. Compare it with another model's card."),
            file=f"{path.parent.name}/{path.name}",
        ) from error


def write_card(card: ModelCard, path: Path) -> None:
    """Write ``card`` as YAML so that a reader sees either the old file or the whole new one."""
    text = yaml.safe_dump(
        card.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True
    )
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)
