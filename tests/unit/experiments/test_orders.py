"""Orders of steps: which are tried, which are refused and why, and what the tree says of each."""

from __future__ import annotations

import math

import pytest

from core.charts.files import to_svg
from core.charts.orders import orders_tree
from core.errors import InputError
from core.experiments.orders import DEFAULT, STATES, described, orders, tree
from core.recipes import read_step


def steps(*given):
    return [read_step(step) for step in given or DEFAULT]


def record(top1=0.9, gzip_bytes=1000):
    measured = {"accuracy": {"top1": {"value": top1}}, "size": {"gzip_bytes": gzip_bytes}}
    baseline = {"accuracy": {"top1": {"value": 0.95}}, "size": {"gzip_bytes": 9000}}
    return {"baseline": baseline, "compressed": measured, "comparison": {"agreement": 0.97}}


LAYERS = [
    {"kind": "CONV_2D", "parameters": 300, "zeros": 0.5, "distinct": 32},
    {"kind": "FULLY_CONNECTED", "parameters": 100, "zeros": 0.1, "distinct": 17},
    {"kind": "DEPTHWISE_CONV_2D", "parameters": 50, "zeros": 0.0, "distinct": 50},
]


def test_every_order_is_tried_or_refused_with_a_reason():
    nodes = orders(steps())
    works = {node.name for node in nodes if node.recipe}
    assert works == {"1", "2", "3", "1-2", "1-3", "2-3", "1-2-3"}
    refused = {node.name: str(node.reason) for node in nodes if not node.recipe}
    assert set(refused) == {"1-3-2", "2-1", "2-3-1", "3-1", "3-2"}
    assert "values of their own" in refused["2-1"]
    assert "must be the last step" in refused["3-1"]


def test_parents_come_before_their_children_and_nothing_follows_a_refused_one():
    nodes = orders(steps())
    seen = {""}
    for node in nodes:
        assert "-".join(node.name.split("-")[:-1]) in seen
        if node.recipe:
            seen.add(node.name)


@pytest.mark.parametrize("given", [
    [{"step": "quantize"}],
    [{"step": "quantize"}, *({"step": "recalibrate"} for _ in range(4))],
])
def test_too_few_or_too_many_steps_are_refused(given):
    with pytest.raises(InputError, match="2 to 4 steps"):
        orders(steps(*given))


def test_steps_that_cannot_work_in_any_order_are_refused():
    with pytest.raises(InputError, match="in any order"):
        orders(steps({"step": "recalibrate"}, {"step": "distill"}))


def test_the_tree_says_what_each_node_kept():
    nodes = orders(steps())
    frame = tree(nodes, steps(), {"1": record(), "1-2": record(0.8, 500)}, {"1": LAYERS, "1-2": LAYERS}, {"1": "abc"})
    rows = frame.set_index("node")
    assert rows.loc["", "top1"] == 0.95
    assert rows.loc["", "gzip_bytes"] == 9000
    assert rows.loc["1", "zeros"] == pytest.approx(0.4)  # by weights, without the depthwise layer
    assert rows.loc["1", "values"] == 32
    assert rows.loc["1", "run"] == "abc"
    assert rows.loc["1-2", ["parent", "step", "depth", "state"]].tolist() == ["1", "cluster", 2, "finished"]
    assert rows.loc["3", "state"] == "failed"
    assert rows.loc["2-1", "state"] == "refused"
    assert math.isnan(rows.loc["2-1", "zeros"])


def test_the_tree_is_drawn_with_figures_and_no_two_nodes_in_one_place():
    nodes = orders(steps())
    frame = described(tree(nodes, steps(), {"1": record()}, {"1": LAYERS}), str)
    titles = dict.fromkeys(("label", "state", "figures", "note"), "x")
    chart = orders_tree(frame, words=STATES, titles=titles)
    svg = to_svg(chart).decode()
    assert "40.0% zeros · 32 values · 90.0% · 1 kB" in svg
    assert svg.count(">cannot work<") >= 5
    points = next(iter(v for v in chart.to_dict()["datasets"].values() if "figures" in v[0]))
    assert len({(p["depth"], p["y"]) for p in points}) == len(frame)
