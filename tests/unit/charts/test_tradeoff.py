import json

import pandas as pd
import pytest

from core.charts.files import to_png, to_svg
from core.charts.tradeoff import Shade, tradeoff

WORDS = {"front": "on the front", "dominated": "dominated", "fails": "fails", "best": "best", "estimate": "estimate"}


def frame(*rows):
    columns = ["run", "name", "x", "x_low", "x_high", "y", "y_low", "y_high", "state"]
    made = pd.DataFrame(rows, columns=columns)
    return made.astype(dict.fromkeys(columns[2:8], float))


ROWS = (
    ("a", "half", 0.2, None, None, 96, 94, 98, "front"), ("b", "most", 0.1, None, None, 90, 88, 92, "front"),
    ("c", "poor", 0.25, None, None, 80, 75, 85, "dominated"), ("", "mine", 0.15, 0.13, 0.17, 91, 85, 94, "estimate"),
)


def drawn(rows=ROWS, **fields):
    return tradeoff(frame(*rows), x_title="Size", y_title="Right", words=WORDS, name_title="Run", **fields).to_dict()


def values(spec, layer):
    return spec["datasets"][layer["data"]["name"]]


def marks(spec, kind):
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == kind]


def test_points_can_be_chosen_by_their_run():
    spec = drawn()
    assert any(p["name"] == "run" and p["select"]["fields"] == ["run"] for p in spec["params"])


def test_the_front_alone_is_joined():
    spec = drawn()
    (line,) = marks(spec, "line")
    assert [row["run"] for row in values(spec, line)] == ["b", "a"]
    assert not marks(drawn(joined=False), "line")


def test_states_differ_in_shape_as_well_as_in_colour():
    (points,) = marks(drawn(), "point")
    for channel in ("shape", "color"):
        used = points["encoding"][channel]["scale"]["range"]
        assert len(used) == 3
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) == 3


def test_an_estimate_is_hollow_and_its_range_dashed():
    spec = drawn()
    (points,) = marks(spec, "point")
    inside = points["encoding"]["fill"]["scale"]
    filled = dict(zip(inside["domain"], inside["range"], strict=True))
    assert [state for state, colour in filled.items() if colour == "transparent"] == ["estimate"]
    dashed = [layer for layer in marks(spec, "rule") if layer["mark"].get("strokeDash") == [4, 3]]
    assert {row["state"] for row in values(spec, dashed[0])} == {"estimate"}
    assert len(values(spec, dashed[0])) == 2


def test_what_is_dominated_is_pale_and_the_estimate_larger():
    import vl_convert

    scales = {scale["name"]: scale for scale in vl_convert.vegalite_to_vega(drawn())["scales"]}
    assert scales["opacity"]["type"] == scales["size"]["type"] == "ordinal"  # others would take the ends alone
    pale = dict(zip(scales["opacity"]["domain"], scales["opacity"]["range"], strict=True))
    assert min(pale, key=pale.get) == "dominated"
    large = dict(zip(scales["size"]["domain"], scales["size"]["range"], strict=True))
    assert max(large, key=large.get) == "estimate"


def test_a_constraint_shades_what_fails():
    spec = drawn(shade=Shade("x", "above", 0.18))
    (area,) = marks(spec, "rect")
    (row,) = values(spec, area)
    assert row["xa"] == 0.18
    assert row["xb"] > 0.25


def test_the_baseline_is_a_line():
    spec = drawn(baseline=(0.3, 97))
    rules = [layer for layer in marks(spec, "rule") if "at" in values(spec, layer)[0]]
    assert {values(spec, layer)[0]["at"] for layer in rules} == {0.3, 97}


def test_a_baseline_does_not_stretch_the_axes_to_zero():
    spec = drawn(baseline=(0.3, 97))
    for layer in spec["layer"]:
        for channel in ("x", "y"):
            placed = layer["encoding"].get(channel, {})
            assert "field" not in placed or placed["scale"]["domain"][0] > 0


@pytest.mark.parametrize(("point", "below", "foot"), [
    ((0.5, 0.45, 0.55, 50, 45, 55), True, True),   # in the middle: the usual places
    ((0.13, 0.12, 0.14, 60, 20, 97), False, True),  # a long range under the start of the level line
    ((0.85, 0.8, 0.9, 5, 4, 6), True, False),    # at the foot of the upright line
])
def test_the_words_beside_the_baseline_cover_no_point_and_no_range(point, below, foot):
    corner = ("a", "first", 0.1, None, None, 5, None, None, "front")
    level, upright = sorted(
        marks(drawn([corner, ("", "mine", *point, "estimate")], baseline=(0.95, 98), baseline_title="Baseline"),
              "text"), key=lambda layer: "width" not in json.dumps(layer["encoding"]))
    assert (level["mark"]["dy"] > 0) is below
    assert (upright["mark"]["dy"] < 0) is foot
    assert upright["mark"]["align"] == "right"


def test_a_name_is_only_ever_a_value():
    hostile = "datum.x'); alert(1); //</script>"
    spec = drawn([("a", hostile, 0.2, None, None, 96, 94, 98, "front")])
    text = json.dumps({k: v for k, v in spec.items() if k != "datasets"})
    assert "alert" not in text


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[3:], ROWS])
def test_any_number_of_points_becomes_a_picture(rows):
    chart = tradeoff(frame(*rows), x_title="Size", y_title="Right", words=WORDS, name_title="Run")
    assert to_png(chart).startswith(b"\x89PNG")
    assert b"<svg" in to_svg(chart)
