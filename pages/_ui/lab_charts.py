"""The measured runs against each other: what a smaller or faster model costs, and which one to take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from core.experiments.constraints import KINDS, Constraint, standing
from core.locales import N_
from pages._ui import i18n
from pages._ui.chart_card import chart_card
from pages._ui.lab_past import Past
from pages._ui.numbers import decimal
from pages._ui.text import plain

if TYPE_CHECKING:
    import pandas

    from core.experiments.estimates import Estimate

_VIEWS = {
    "size": N_("Against size"), "latency": N_("Against time"), "sparsity": N_("Against sparsity"),
}
_WORDS = {
    "front": N_("on the front"), "dominated": N_("dominated"), "fails": N_("fails the wish"),
    "best": N_("best that passes"), "estimate": N_("estimate"),
}
_AXES = {
    "gzip_mb": N_("Packed file (MB)"), "latency_ms": N_("Time per image (ms)"),
    "sparsity": N_("Zeros among the weights"),
    "quality": N_("Right answers (%)"), "agreement": N_("Same answers as the baseline (%)"),
}
_NUMBERS = ("x", "x_low", "x_high", "y", "y_low", "y_high")
_FIRST_BOUND = {"points": 2.0, "megabytes": 3.0, "faster": 2.0}


def trade_offs(known: Past, found: Estimate | None, *, labelled: bool) -> None:
    """Show the charts of the finished runs and, in them, the estimate of the recipe on the screen."""
    from core.experiments.points import points

    _ = i18n.translate()
    st.subheader(_("What was measured"))
    runs = points(known.finished)
    if runs.empty:
        st.info(_("Finished runs of this model on these images appear here. Press Run: on the digits it takes about a "
                  "minute."), icon=":material/science:")
        return
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    with left:
        view = st.segmented_control(_("Chart"), list(_VIEWS), default="size", required=True, key="lab.view",
                                    format_func=lambda key: _(_VIEWS[key]), wrap=True,
                                    label_visibility="collapsed") or "size"
    with right:
        wish = _wish()
    quality = "quality" if labelled else "agreement"
    if wish is not None:
        _say_best(runs, wish)
    if view == "sparsity":
        for place, y in zip(st.columns(3), (quality, "gzip_mb", "latency_ms"), strict=True):
            with place:
                _chart(runs, known, found, "sparsity", y, None, quality)
    else:
        _chart(runs, known, found, {"size": "gzip_mb", "latency": "latency_ms"}[view], quality, wish, quality)
    st.caption(_("Click a point to open its run. Bars are 95% intervals of measurements; the dashed ones are the "
                 "range of an estimate."))


def _wish() -> Constraint | None:
    _ = i18n.translate()
    one, two = st.columns([3, 2], vertical_alignment="bottom")
    kind = one.selectbox(_("What you need"), [None, *KINDS], key="lab.wish",
                         format_func=lambda k: _("nothing in particular") if k is None else _(KINDS[k]))
    if kind is None:
        return None
    bound = two.number_input(_("How many"), 0.0, 1e6, _FIRST_BOUND[kind], 0.5, key=f"lab.bound.{kind}", format="%.2f")
    return Constraint(kind=kind, bound=bound)


def _say_best(runs: pandas.DataFrame, wish: Constraint) -> None:
    _ = i18n.translate()
    language = i18n.language()
    words = wish.words(_, lambda v: decimal(v, language, 0 if v == int(v) else 2))
    best = wish.best(runs)
    if best is None:
        st.warning(plain(_("With {wish}: no measured run passes yet.").format(wish=words)), icon=":material/block:")
        return
    row = runs.loc[best]
    sentence = _("With {wish}: **{name}** is best, {size} MB packed, {lost} points lost, {speed} times as fast.")
    st.success(sentence.format(
        wish=plain(words), name=plain(row["name"]), size=plain(decimal(row["gzip_mb"], language, 3)),
        lost=plain(decimal(row["lost_points"], language)), speed=plain(decimal(row["speed"], language))),
        icon=":material/trophy:")


def _chart(
    runs: pandas.DataFrame, known: Past, found: Estimate | None, x: str, y: str, wish: Constraint | None, quality: str
) -> None:
    from core.charts.tradeoff import tradeoff

    _ = i18n.translate()
    better = y in ("quality", "agreement") and x != "sparsity"
    marks = standing(runs, x, y, wish) if better else runs["run"].map(lambda _id: "front")
    frame = runs.assign(
        x=100 * runs[x] if x == "sparsity" else runs[x], y=runs[y], state=marks, x_low=None, x_high=None,
        y_low=runs["quality_low"] if y == "quality" else None, y_high=runs["quality_high"] if y == "quality" else None,
    )[["run", "name", "x", "x_low", "x_high", "y", "y_low", "y_high", "state"]]
    if found is not None:
        import pandas

        frame = pandas.concat([frame, pandas.DataFrame([_guess(found, known, x, y)])], ignore_index=True)
    frame = frame.dropna(subset=["x", "y"]).astype(dict.fromkeys(_NUMBERS, float))
    words = {key: _(text) for key, text in _WORDS.items()}
    if not better:
        words["front"] = _("measured")
    x_title = _(_AXES[x]) + (" (%)" if x == "sparsity" else "")
    chart = tradeoff(
        frame, x_title=x_title, y_title=_(_AXES[y]), words=words, name_title=_("Name of the run"),
        baseline=_baseline(known, x, y), baseline_title=_("Baseline"), shade=_shade(known, wish, x, quality),
        joined=better)
    order = ["name", "state", "x", "x_low", "x_high", "y", "y_low", "y_high"]
    table = frame.assign(state=frame["state"].map(words))[order].rename(columns={
        "name": _("Name of the run"), "x": x_title, "y": _(_AXES[y]), "state": _("Standing"),
        "y_low": _("low"), "y_high": _("high"), "x_low": _("x low"), "x_high": _("x high")})
    heard = "; ".join(f"{row.name}: {row.x:.3g}, {row.y:.3g}" for row in frame.itertuples(index=False))
    chosen = chart_card(chart, table, f"lab.{x}.{y}", f"{_(_AXES[y])} / {x_title}: {heard}", selects=True)
    _open(chosen)


def _open(chosen: list[dict[str, Any]]) -> None:
    run = next((point.get("run") for point in chosen if point.get("run")), None)
    if run:
        st.switch_page("pages/studio/run.py", query_params={"run": str(run)})


def _guess(found: Estimate, known: Past, x: str, y: str) -> dict[str, Any]:
    _ = i18n.translate()
    row: dict[str, Any] = {"run": "", "name": _("The recipe on the screen"), "state": "estimate"}
    for axis, column in (("x", x), ("y", y)):
        value = _guessed(found, known, column)
        row |= {axis: value[0], f"{axis}_low": value[1], f"{axis}_high": value[2]}
    return row


def _guessed(found: Estimate, known: Past, column: str) -> tuple[Any, Any, Any]:
    if column == "gzip_mb":
        return tuple(v / 1e6 for v in (found.gzip_bytes.value, found.gzip_bytes.low, found.gzip_bytes.high))
    if column == "latency_ms":
        ms = found.latency_ms
        return (None, None, None) if ms is None else (ms.value, ms.low, ms.high)
    if column == "sparsity":
        weights = sum(layer.weights for layer in known.profile.layers)
        pruned = sum(layer.weights for layer in known.profile.prunable)
        return 100 * found.sparsity * pruned / max(1, weights), None, None
    if column == "quality":
        value = found.accuracy
        return (None, None, None) if value is None else (100 * value.value, 100 * value.low, 100 * value.high)
    lost = found.loss
    return 100 * (1 - lost.value), 100 * (1 - lost.high), 100 * (1 - lost.low)


def _baseline(known: Past, x: str, y: str) -> tuple[float | None, float | None]:
    base = known.learned.baseline
    if base is None:
        return None, None
    values = {"gzip_mb": base.gzip_bytes / 1e6, "latency_ms": base.latency_ms, "sparsity": None, "agreement": 100.0,
              "quality": None if base.top1 is None else 100 * base.top1}
    return values[x], values[y]


def _shade(known: Past, wish: Constraint | None, x: str, quality: str) -> Any:
    from core.charts.tradeoff import Shade

    base = known.learned.baseline
    if wish is None or base is None:
        return None
    if wish.kind == "points":
        top = 100.0 if quality == "agreement" or base.top1 is None else 100 * base.top1
        return Shade("y", "below", top - wish.bound)
    if wish.kind == "megabytes" and x == "gzip_mb":
        return Shade("x", "above", wish.bound)
    if wish.kind == "faster" and x == "latency_ms" and wish.bound > 0:
        return Shade("x", "above", base.latency_ms / wish.bound)
    return None
