import json
import subprocess
import sys

import altair
import pytest

from core.charts import top_bars
from core.settings import ROOT

TITLES = {"class_title": "Class", "probability_title": "Probability", "threshold_title": "Not sure"}
CLASSES = [("tabby", 0.6, "60 %"), ("tabby", 0.3, "30 %"), ("datum['x'] + <b>", 0.1, "10 %")]


def rows_of(spec):
    return spec["layer"][0]["data"]["values"]


def test_each_class_keeps_a_bar_in_order_even_where_two_share_a_name():
    spec = top_bars(CLASSES, unsure_below=0.5, **TITLES)
    rows = rows_of(spec)
    assert [(row["label"], row["probability"]) for row in rows] == [(c[0], c[1]) for c in CLASSES]
    assert len({row["row"] for row in rows}) == 3
    assert spec["layer"][0]["encoding"]["y"]["sort"] == [row["row"] for row in rows]
    assert rows[0]["row"] == "tabby · 60 %"


def test_labels_are_values_and_never_part_of_an_expression():
    spec = top_bars(CLASSES, unsure_below=0.5, **TITLES)
    rows_of(spec).clear()
    spec["layer"][0]["encoding"]["y"].pop("sort")
    assert "<b>" not in json.dumps(spec)
    assert "transform" not in json.dumps(spec)
    assert "expr" not in json.dumps(spec)


def test_the_axis_always_runs_from_nothing_to_certain_and_marks_the_threshold():
    spec = top_bars(CLASSES, unsure_below=0.35, **TITLES)
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 1]
    assert spec["layer"][1]["data"]["values"] == [{"at": 0.35, "meaning": "Not sure"}]


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:1], []])
def test_the_specification_fits_the_schema_of_vega_lite(classes):
    spec = top_bars(classes, unsure_below=0.5, **TITLES)
    altair.LayerChart.from_dict(spec, validate=True)


def test_neither_altair_nor_pandas_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, core.charts.classes; print({'altair', 'pandas'} & set(sys.modules))"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
