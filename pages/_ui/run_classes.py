"""Accuracy of a finished run: intervals, classes that changed, confusions, and whether probabilities hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pandas
import streamlit as st

from core.charts.runs import confusion_matrix, intervals, reliability
from pages._ui import i18n
from pages._ui.chart_card import chart_card
from pages._ui.numbers import decimal, p_value
from pages._ui.run_access import View
from pages._ui.run_figures import signed

MOST_CELLS = 20


def show_accuracy(view: View) -> None:
    """Show everything about right and wrong answers; without labels say what can be said."""
    _ = i18n.translate()
    details, record, language = view.details(), view.record, view.language
    if record["compressed"]["accuracy"] is None:
        st.info(_("The images have no labels, so only the agreement with the baseline is known: {agreement}% of "
                  "the answers are the same.").format(
                      agreement=decimal(100 * record["comparison"]["agreement"], language)),
                icon=":material/label_off:")
        return
    labels = view.labels()
    top1 = pandas.DataFrame([
        {"name": title, **{k: 100 * v for k, v in record[key]["accuracy"]["top1"].items()}}
        for title, key in ((_("Baseline"), "baseline"), (_("Compressed"), "compressed"))
    ])
    title = _("Top-1 accuracy in %, 95% interval")
    table = top1.rename(columns={"name": _("Model"), "value": _("Top-1, %"), "low": _("low"), "high": _("high")})
    chart_card(intervals(top1, value_title=title), table.round(2), "run.top1", ", ".join(
        f"{name} {decimal(value, language)} % ({decimal(low, language)} – {decimal(high, language)})"
        for name, value, low, high in zip(*(top1[k] for k in ("name", "value", "low", "high")), strict=True)))
    _changed(details, labels, language, _)
    _confusions(view, labels, _)
    _calibration(details, language, _)


def _name(labels: list[str] | None, index: int) -> str:
    return labels[index] if labels and index < len(labels) else str(index)


def _changed(details: dict[str, Any], labels: list[str] | None, language: str, _: Callable[[str], str]) -> None:
    st.subheader(_("Classes that changed"))
    changed = [c for c in details["class_changes"] if c["right_to_wrong"] or c["wrong_to_right"]]
    if not changed:
        st.markdown(_("In no class did a right answer become wrong or a wrong one right."))
        return
    changed.sort(key=lambda c: c["difference"])
    frame = pandas.DataFrame([{
        _("Class"): _name(labels, c["index"]), _("Images"): c["n"],
        _("Points"): signed(100 * c["difference"], language),
        _("Right to wrong"): c["right_to_wrong"], _("Wrong to right"): c["wrong_to_right"],
        _("p, Holm-corrected"): p_value(c["p_holm"], language),
        _("Verdict"): _("a real difference") if c["p_holm"] < 0.05 else _("not distinguishable"),
    } for c in changed])
    st.dataframe(frame, hide_index=True, key="run.classes", alt=_("Classes whose accuracy changed, worst first"))
    st.caption(_("Each class has few images, and many classes are looked at: only a corrected p below 0.05 counts."))


def _confusions(view: View, labels: list[str] | None, _: Callable[[str], str]) -> None:
    st.subheader(_("What is taken for what"))
    found = view.predictions()
    classes = max(int(found.targets.max()), int(found.compressed.max())) + 1
    if classes > MOST_CELLS:
        rows = [{_("Right class"): _name(labels, right), _("Answer"): _name(labels, answer), _("Images"): images}
                for right, answer, images in view.details()["confusions"]]
        if rows:
            st.dataframe(pandas.DataFrame(rows), hide_index=True, key="run.confusions",
                         alt=_("The commonest mistakes of the compressed model"))
        return
    counts = numpy.zeros((classes, classes), int)
    numpy.add.at(counts, (found.targets, found.compressed), 1)
    rows = [
        {"right": _name(labels, i), "answer": _name(labels, j), "images": int(counts[i, j]),
         "share": float(counts[i, j] / max(counts[i].sum(), 1))}
        for i in range(classes) for j in range(classes)
    ]
    wrong = int(counts.sum() - counts.trace())
    cells = pandas.DataFrame(rows)
    chart_card(
        confusion_matrix(cells, right_title=_("Right class"), answer_title=_("Answer"), images_title=_("Images")),
        cells[cells["images"] > 0].drop(columns="share").rename(columns={
            "right": _("Right class"), "answer": _("Answer"), "images": _("Images")}),
        "run.confusion", _("Confusion matrix of the compressed model: {wrong} of {all} images off the diagonal").format(
            wrong=wrong, all=int(counts.sum())))


def _calibration(details: dict[str, Any], language: str, _: Callable[[str], str]) -> None:
    after = details["compressed_calibration"]
    if after is None:
        return
    st.subheader(_("Can its probabilities be believed?"))
    st.markdown(_("Below the dashed line the model is surer than it is right. One refitted temperature "
                  "({temperature}) would bring the error from {before} to {after}.").format(
                      temperature=decimal(after["temperature"], language, 2),
                      before=decimal(after["ece"], language, 3),
                      after=decimal(after["ece_after_temperature"], language, 3)))
    rows = [
        {"model": title, **each}
        for title, key in ((_("Baseline"), "baseline_calibration"), (_("Compressed"), "compressed_calibration"))
        for each in details[key]["reliability"]
    ]
    bins = pandas.DataFrame(rows)
    chart_card(
        reliability(bins, confidence_title=_("Confidence"), accuracy_title=_("Accuracy")),
        bins[["model", "confidence", "accuracy", "n"]].round(4).rename(columns={
            "model": _("Model"), "confidence": _("Confidence"), "accuracy": _("Accuracy"), "n": _("Images")}),
        "run.reliability", _("Accuracy against confidence, before and after"), width=520)
