"""Trying every order from the lab: what is queued, what is refused and why, and the tree of what was measured."""

from __future__ import annotations

import pytest

from core.charts.orders import orders_tree
from pages._ui import lab_orders
from tests.pages.labs import RECORDS, finished, lab_home, page, person, texts, waiting

__all__ = ["lab_home"]
pytestmark = pytest.mark.usefixtures("lab_home")


def test_every_order_that_works_is_queued_and_the_others_say_why_not():
    test = page("lab").run()
    next(b for b in test.button if b.key == "lab.orders_now").click().run()
    assert not test.exception
    kinds = sorted("-".join(s["step"] for s in run.request.recipe["steps"]) for run in waiting(test))
    assert len(kinds) == 3
    assert {len(k.split("-")) for k in kinds} == {1, 2}
    assert "must be the last step" in texts(test)


def test_the_tree_shows_what_was_measured(monkeypatch):
    layers = [{"kind": "CONV_2D", "parameters": 100, "zeros": 0.25, "distinct": 99}]
    drawn = []

    def seen(frame, **texts):
        drawn.append(frame)
        return orders_tree(frame, **texts)

    monkeypatch.setattr(lab_orders, "_layers", lambda principal, run: layers)
    monkeypatch.setattr(lab_orders, "orders_tree", seen)
    test = page("lab").run()
    record = next(r for r in RECORDS if r["recipe"]["steps"][-1]["step"] == "quantize")
    finished(person(test), {**record, "recipe": {"steps": [{"step": "quantize"}]}})
    test.run()
    next(t for t in test.toggle if t.key == "lab.orders_tree").set_value(True).run()
    assert not test.exception
    assert not test.error
    rows = drawn[-1].set_index("label")
    assert rows.loc["quantize", "figures"].iloc[-1].startswith("25.0% zeros · 99 values")
    assert set(rows["state"]) == {"baseline", "finished", "waiting", "refused"}
