"""What a run can be taken away as: a bundle that reproduces it, and a C array for microcontrollers."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator

import yaml

from core.errors import InputError
from core.experiments.report import command_line
from core.experiments.reproducing import RECORD
from core.experiments.runs import Run
from core.locales import N_

C_ARRAY_MOST = 8_000_000
_LINE = 16

README = """\
This folder carries out one run of Sécateur again.

    {command}

does the same work anew. To have the figures compared with the recorded ones as well:

    python -m core reproduce {bundle}

recipe.yaml   the recipe, with every field written out
run.json      what was asked for, what was measured, seed, versions, machine, and digests of the images

The images themselves are not in here. Data that Sécateur does not carry must lie where run.json names it; if it
has moved, add --data PATH. Versions of the libraries are under "environment" in run.json.
"""


def bundle(run: Run, name: str = "bundle.zip") -> bytes:
    """Return a zip with ``recipe.yaml``, ``run.json`` and ``README.txt``, accepted by ``python -m core reproduce``.

    Raises
    ------
    ValueError
        If the run has no record.
    """
    if run.record is None:
        raise ValueError("only a finished run has a bundle")
    recipe = yaml.safe_dump(run.record["recipe"], sort_keys=False, allow_unicode=True)
    content = {
        "recipe.yaml": recipe, RECORD: json.dumps(run.record, indent=2, ensure_ascii=False),
        "README.txt": README.format(command=command_line(run.record), bundle=name),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in content.items():
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def c_array(model: bytes, name: str) -> str:
    """Return C source with the bytes of a ``.tflite`` as an aligned constant array, as TFLite Micro reads it.

    Raises
    ------
    InputError
        If the model has more than 8,000,000 bytes, which no microcontroller holds.
    """
    if len(model) > C_ARRAY_MOST:
        raise InputError(
            N_("A model of more than {most} MB fits no microcontroller, so there is no C array of it."),
            most=C_ARRAY_MOST // 1_000_000)
    identifier = re.sub(r"\W", "_", name, flags=re.ASCII)
    identifier = identifier if re.match(r"[A-Za-z]", identifier) else f"model_{identifier}"
    return "".join(_source(model, identifier))


def _source(model: bytes, identifier: str) -> Iterator[str]:
    yield "#include <stddef.h>\n\n#if defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif\n"
    yield f"const unsigned char {identifier}[] = {{\n"
    for start in range(0, len(model), _LINE):
        yield "  0x" + model[start:start + _LINE].hex(" ").replace(" ", ", 0x") + ",\n"
    yield f"}};\nconst size_t {identifier}_length = {len(model)};\n"
