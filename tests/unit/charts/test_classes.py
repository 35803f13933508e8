import pandas as pd
import pytest

from core.charts import top_bars

TITLES = {"class_title": "Class", "probability_title": "Probability", "threshold_title": "Not sure"}


@pytest.fixture
def frame():
    return pd.DataFrame({"label": ["tabby", "tabby", "datum['x'] + <b>"],
                         "probability": [0.6, 0.3, 0.1], "text": ["60 %", "30 %", "10 %"]})


def data_of(chart):
    spec = chart.to_dict()
    return spec, list(spec["datasets"].values())


def test_each_class_keeps_a_bar_in_order_even_where_two_share_a_name(frame):
    _, datasets = data_of(top_bars(frame, unsure_below=0.5, **TITLES))
    rows = next(rows for rows in datasets if "place" in rows[0])
    assert [(row["place"], row["label"], row["probability"]) for row in rows] == [
        (0, "tabby", 0.6), (1, "tabby", 0.3), (2, "datum['x'] + <b>", 0.1)]


def test_labels_are_values_and_never_part_of_an_expression(frame):
    spec, _ = data_of(top_bars(frame, unsure_below=0.5, **TITLES))
    del spec["datasets"]
    assert "<b>" not in str(spec)
    assert "transform" not in spec
    assert "expr" not in str(spec)


def test_the_axis_always_runs_from_nothing_to_certain_and_marks_the_threshold(frame):
    spec, datasets = data_of(top_bars(frame, unsure_below=0.35, **TITLES))
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 1]
    assert [{"at": 0.35, "meaning": "Not sure"}] in datasets


def test_the_frame_that_was_passed_in_is_left_as_it_was(frame):
    before = frame.copy()
    top_bars(frame, unsure_below=0.5, **TITLES)
    pd.testing.assert_frame_equal(frame, before)
