"""Carrying a recorded run out again, and telling whether what comes out agrees with the record."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import InputError
from core.experiments.runs import RunRequest
from core.locales import N_

RECORD = "run.json"
_MOST_BYTES = 16_000_000


class Check(BaseModel):
    """One figure, as recorded and as found again."""

    model_config = ConfigDict(frozen=True)

    figure: str
    recorded: str
    again: str
    agrees: bool


def read_bundle(path: Path) -> dict[str, Any]:
    """Return the record in a ``run.json``, or in a folder or zip that holds one.

    Raises
    ------
    InputError
        If there is none, or it is not the record of a run.
    """
    try:
        if path.is_dir():
            text = (path / RECORD).read_text("utf-8")
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(RECORD).file_size > _MOST_BYTES:
                    raise ValueError("too large")
                text = archive.read(RECORD).decode("utf-8")
        else:
            text = path.read_text("utf-8")
        record = json.loads(text)
        request_of(record)
        if not {"baseline", "compressed", "comparison", "images"} <= record.keys():
            raise ValueError("figures are missing")
    except (OSError, KeyError, TypeError, AttributeError, ValueError, zipfile.BadZipFile, ValidationError) as error:
        raise InputError(
            N_("{file} does not hold the record of a run. Give the run.json that a run wrote, or its folder or zip."),
            file=path.name,
        ) from error
    return dict(record)


def request_of(record: Mapping[str, Any], data: str | None = None) -> RunRequest:
    """Return what was asked for, with the data found at ``data`` if it has moved.

    Raises
    ------
    KeyError, pydantic.ValidationError
        If the record lacks it.
    """
    return RunRequest(
        model=record["model"], data=data or record["data"], calibration=record.get("calibration"),
        recipe=record["recipe"], seed=record["seed"], limit=record.get("limit"), stage=record.get("stage", "whole"),
    )


def agreement(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> list[Check]:
    """Compare a record with that of the run carried out again.

    Images must be the same, and sizes the same to within 1 % (libraries of another version order a file
    differently). An accuracy agrees when each lies in the other's interval; a latency ratio, which belongs to the
    machine, when the intervals overlap or both are within 15 % of each other.
    """
    checks = [
        Check(
            figure=N_("Images"), recorded=_digests(recorded), again=_digests(again),
            agrees=_digests(recorded) == _digests(again),
        )
    ]
    for title, key in ((N_("File, bytes"), "tflite_bytes"), (N_("gzip, bytes"), "gzip_bytes")):
        before, now = (r["compressed"]["size"][key] for r in (recorded, again))
        checks.append(Check(
            figure=title, recorded=str(before), again=str(now), agrees=abs(now - before) <= 0.01 * before
        ))
    old, new = (r["compressed"]["accuracy"] for r in (recorded, again))
    if old is not None and new is not None:
        a, b = old["top1"], new["top1"]
        agrees = a["low"] <= b["value"] <= a["high"] and b["low"] <= a["value"] <= b["high"]
        checks.append(Check(
            figure=N_("Top-1 accuracy"), recorded=f"{a['value']:.4f}", again=f"{b['value']:.4f}", agrees=agrees
        ))
    a, b = (r["comparison"]["latency_ratio"] for r in (recorded, again))
    overlap = a["low"] <= b["high"] and b["low"] <= a["high"]
    checks.append(Check(
        figure=N_("Latency ratio"), recorded=f"{a['value']:.3f}", again=f"{b['value']:.3f}",
        agrees=overlap or abs(a["value"] - b["value"]) <= 0.15 * a["value"],
    ))
    return checks


def _digests(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {part['sha256'][:12]}" for name, part in sorted(record["images"].items()))
