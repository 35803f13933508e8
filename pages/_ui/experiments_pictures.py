"""Charts of a comparison, classes on which its runs differ, and images on which they disagree."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number

import altair
import numpy
import pandas
import streamlit as st
import vl_convert

from core.charts.runs import COLOURS, parallel, reliability, trade_off
from core.errors import SecateurError
from core.experiments.compare import Comparison
from core.experiments.gallery import images_of, picture
from core.experiments.subjects import open_subject
from core.recipes import REGISTRY
from pages._ui import errors, i18n, services
from pages._ui.chart_card import chart_card
from pages._ui.numbers import decimal, percent
from pages._ui.run_access import View
from pages._ui.text import plain

MOST_IMAGES, MOST_CLASSES = 12, 60
Words = Callable[[str], str]
Charts = dict[str, tuple[altair.LayerChart, pandas.DataFrame]]


def charts(views: list[View], comparison: Comparison, names: dict[str, str], _: Words) -> Charts:
    """Return the charts of the runs by their titles, each with the table of what it shows."""
    drawn: Charts = {}
    labelled = [view for view in views if view.record["compressed"]["accuracy"] is not None]
    size, top1 = _("File size (MB)"), _("Top-1 accuracy in %, 95% interval")
    if labelled:
        points = pandas.DataFrame([
            {"name": names[view.run.id], "megabytes": view.record["compressed"]["size"]["tflite_bytes"] / 1e6,
             **{k: 100 * v for k, v in view.record["compressed"]["accuracy"]["top1"].items()}}
            for view in labelled
        ])
        drawn[_("Accuracy against size")] = (
            trade_off(points, size_title=size, accuracy_title=top1),
            points.rename(columns={"name": _("Name of the run"), "megabytes": size, "value": _("Top-1, %"),
                                   "low": _("low"), "high": _("high")}))
    lines = _coordinates(views, comparison, names, _)
    drawn[_("Recipe and results together")] = (
        parallel(lines), lines.pivot(index="name", columns="quantity", values="text").rename_axis(
            columns=None).reset_index(names=_("Name of the run")))
    rows = [
        {"model": names[view.run.id], **each}
        for view in labelled for each in view.details()["compressed_calibration"]["reliability"]
    ]
    if rows:
        bins = pandas.DataFrame(rows)[["model", "confidence", "accuracy", "n"]]
        confidence, accuracy = _("Confidence"), _("Accuracy")
        drawn[_("Can their probabilities be believed?")] = (
            reliability(bins, confidence_title=confidence, accuracy_title=accuracy, colours=COLOURS),
            bins.rename(columns={"model": _("Name of the run"), "confidence": confidence, "accuracy": accuracy,
                                 "n": _("Images")}))
    return drawn


def chart_svgs(views: list[View], comparison: Comparison, names: dict[str, str], _: Words) -> list[str]:
    """Return the same charts as SVG for a page that runs no scripts."""
    return [str(vl_convert.vegalite_to_svg(chart.properties(width=520).to_json(), allowed_base_urls=[]))
            for chart, _table in charts(views, comparison, names, _).values()]


def show_charts(views: list[View], comparison: Comparison, names: dict[str, str]) -> None:
    """Show the charts."""
    _ = i18n.translate()
    for place, (title, (chart, table)) in enumerate(charts(views, comparison, names, _).items()):
        st.subheader(title)
        chart_card(chart, table, f"compare.chart_{place}",
                   _("{title}: {runs}; the figures are in the tables of the first section").format(
                       title=title, runs=", ".join(names.values())))


def as_text(value: object, language: str) -> str:
    """Return a field's value as a reader of ``language`` writes it."""
    if isinstance(value, float):
        return decimal(value, language, 2 if abs(value) >= 0.01 or not value else 6)
    return "–" if value is None else str(value)


def field_title(field: str, views: list[View]) -> str:
    """Return what a field of the requests is called: "2. Sparsity" for the sparsity of the second step."""
    _ = i18n.translate()
    number, dot, name = field.partition(".")
    step = _("Step")
    if not dot:
        return {"model": _("Model"), "data": _("Data"), "calibration": _("Calibrate on"),
                "seed": _("Seed")}.get(field, field)
    for view in views:
        steps = view.record["recipe"]["steps"]
        kind = REGISTRY.get(steps[int(number) - 1]["step"]) if int(number) <= len(steps) else None
        if kind is not None and name in kind.model_fields:
            return f"{number}. {_(str(kind.model_fields[name].title or name))}"
    return f"{number}. {step}" if name == "step" else f"{number}. {name}"


def _coordinates(views: list[View], comparison: Comparison, names: dict[str, str], _: Words) -> pandas.DataFrame:
    axes: dict[str, list[object]] = {
        field_title(field, views): [values[view.run.id] for view in views]
        for field, values in list(comparison.recipe.items())[:6]
    }
    for title, read in (
        (_("Top-1, %"), lambda r: round(100 * r["compressed"]["accuracy"]["top1"]["value"], 1)
            if r["compressed"]["accuracy"] else None),
        (_("Smaller"), lambda r: round(r["comparison"]["size_ratio"], 2)),
        (_("Faster"), lambda r: round(r["comparison"]["latency_ratio"]["value"], 2)),
    ):
        axes[title] = [read(view.record) for view in views]
    rows = []
    for title, values in axes.items():
        numeric = all(isinstance(v, Number) and not isinstance(v, bool) for v in values)
        distinct = list(dict.fromkeys(str(v) for v in values))
        rows += [
            {"name": names[view.run.id], "quantity": title, "text": as_text(value, i18n.language())[:24],
             "value": float(value) if numeric else float(distinct.index(str(value)))}
            for view, value in zip(views, values, strict=True)
        ]
    return pandas.DataFrame(rows)


def show_classes(views: list[View], names: dict[str, str]) -> None:
    """Show the accuracy of every class on which the runs differ."""
    _ = i18n.translate()
    found = [view.predictions() for view in views]
    if any(p.targets is None or not numpy.array_equal(p.targets, found[0].targets) for p in found):
        st.info(_("The runs were not tested on the same labelled images, so their classes cannot be compared."))
        return
    labels = views[0].labels()
    rows = []
    for index in numpy.unique(found[0].targets):
        members = found[0].targets == index
        shares = [float((p.compressed[members] == index).mean()) for p in found]
        if max(shares) > min(shares):
            rows.append({_("Class"): labels[index] if labels else str(index), _("Images"): int(members.sum()),
                         **{names[v.run.id]: round(100 * s, 1) for v, s in zip(views, shares, strict=True)},
                         _("Spread"): round(100 * (max(shares) - min(shares)), 1)})
    if not rows:
        st.success(_("The runs are equally accurate on every class."))
        return
    rows.sort(key=lambda row: -row[_("Spread")])
    st.caption(_("Accuracy in % on the images of each class on which the runs differ, widest spread first."))
    st.dataframe(pandas.DataFrame(rows[:MOST_CLASSES]), hide_index=True, key="compare.classes",
                 alt=_("Accuracy of each run on each class"))


def show_disagreements(views: list[View], names: dict[str, str]) -> None:
    """Show test images that the runs answer differently."""
    _ = i18n.translate()
    found = [view.predictions() for view in views]
    if any(not numpy.array_equal(p.images, found[0].images) for p in found):
        st.info(_("The runs were tested on different images."))
        return
    answers = numpy.stack([p.compressed for p in found])
    places = numpy.flatnonzero((answers != answers[0]).any(axis=0))
    if not len(places):
        st.success(_("The runs give the same answer on every image."))
        return
    st.markdown(_("They disagree on {count} of {all} images.").format(count=len(places), all=answers.shape[1]))
    labels, images = views[0].labels(), None
    try:
        images = images_of(open_subject(views[0].run.request.data, services.settings()), found[0], views[0].record)
    except SecateurError as error:
        st.info(errors.sentence(error), icon=":material/hide_image:")

    def name(index: int) -> str:
        return plain(labels[index] if labels and index < len(labels) else str(index))

    with st.container(horizontal=True, gap="medium"):
        for place in places[:MOST_IMAGES]:
            with st.container(border=True, width=230):
                if images is not None:
                    st.image(picture(images, int(place)), width="stretch",
                             alt=_("Image {number}").format(number=int(place) + 1))
                if found[0].targets is not None:
                    st.markdown(f"{_('Right class')}: **{name(int(found[0].targets[place]))}**")
                st.markdown("  \n".join(
                    f"{plain(names[view.run.id])}: **{name(int(p.compressed[place]))}** "
                    f"({plain(percent(float(p.compressed_confidence[place]), view.language))})"
                    for view, p in zip(views, found, strict=True)))
    if len(places) > MOST_IMAGES:
        st.caption(_("The first {shown} are shown; the JSON export names all of them.").format(
            shown=decimal(MOST_IMAGES, i18n.language(), 0)))
