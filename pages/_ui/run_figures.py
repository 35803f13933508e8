"""The figures of a finished run: what they mean in words, the size truth table, and whether it will be faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas
import streamlit as st

from core.measurement.sentences import Sentence
from pages._ui import i18n
from pages._ui.numbers import decimal, hundredths, megabytes, milliseconds, p_value
from pages._ui.run_access import View
from pages._ui.text import plain

Row = tuple[str, str, str, str]


def signed(points: float, language: str) -> str:
    """Return a difference in points with its sign, a true minus for a loss."""
    text = decimal(abs(points), language)
    if text.strip("0.,") == "":
        return text
    return ("+" if points > 0 else "\N{MINUS SIGN}") + text


def table(rows: Sequence[tuple[str, ...]], headings: Sequence[str]) -> None:
    """Show rows of a name and its texts as a plain table that scrolls on a narrow screen."""
    frame = pandas.DataFrame([row[1:] for row in rows], index=[plain(row[0]) for row in rows], columns=list(headings))
    st.table(frame.map(plain))


def show_overview(view: View) -> None:
    """Show the sentences that the figures deserve, the figures, the sizes and the speed."""
    _ = i18n.translate()
    details, record, language = view.details(), view.record, view.language
    _tiles(record, language, _)
    for sentence in details["sentences"]:
        st.markdown(f"- {plain(_said(sentence, _, language))}")
    for finding in [f for step in record["steps"] for f in step["findings"]] + record["findings"]:
        box = st.warning if finding["severity"] == "warning" else st.info
        box(plain(_said(finding, _, language)))
    _figures(view, _)
    _sizes(record, details, language, _)
    _speed(record, details, language, _)


def _tiles(record: dict[str, Any], language: str, _: Callable[[str], str]) -> None:
    change, after = record["comparison"], record["compressed"]
    size, ratio = after["size"], change["latency_ratio"]
    tiles = [
        (_("File that ships"), megabytes(size["tflite_bytes"], language),
         _("{ratio} times smaller").format(ratio=decimal(change["size_ratio"], language, 2))),
        (_("Median time per image"), milliseconds(after["latency_ms"]["p50"], language),
         _("{ratio} times as fast").format(ratio=decimal(ratio["value"], language, 2))),
    ]
    if after["accuracy"] is not None:
        tiles.insert(0, (
            _("Top-1 accuracy"), hundredths(after["accuracy"]["top1"]["value"], language),
            _("{points} points").format(points=signed(100 * change["top1_difference"]["value"], language)),
        ))
    tiles.append((_("Same answers"), hundredths(change["agreement"], language), ""))
    for column, (label, value, delta) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, delta or None, delta_color="off", delta_arrow="off", border=True,
                      height="stretch")


def _figures(view: View, _: Callable[[str], str]) -> None:
    record, language = view.record, view.language
    before, after, change = record["baseline"], record["compressed"], record["comparison"]

    def percent(interval: dict[str, float]) -> str:
        return (f"{hundredths(interval['value'], language)} ({decimal(100 * interval['low'], language)} – "
                f"{decimal(100 * interval['high'], language)})")

    rows: list[Row] = []
    if after["accuracy"] is not None:
        difference = change["top1_difference"]
        rows += [
            (_("Top-1 accuracy"), percent(before["accuracy"]["top1"]), percent(after["accuracy"]["top1"]),
             _("{points} points ({low} to {high}), p: {p}").format(
                 points=signed(100 * difference["value"], language), low=signed(100 * difference["low"], language),
                 high=signed(100 * difference["high"], language), p=p_value(change["mcnemar_p"], language))),
            (_("Top-5 accuracy"), percent(before["accuracy"]["top5"]), percent(after["accuracy"]["top5"]), ""),
            (_("Calibration error (ECE)"), decimal(before["accuracy"]["ece"], language, 3),
             decimal(after["accuracy"]["ece"], language, 3), ""),
        ]
    ratio = change["latency_ratio"]
    rows += [
        (_("Latency, median"), milliseconds(before["latency_ms"]["p50"], language),
         milliseconds(after["latency_ms"]["p50"], language),
         f"{decimal(ratio['value'], language, 2)} × ({decimal(ratio['low'], language, 2)} – "
         f"{decimal(ratio['high'], language, 2)})"),
        (_("Latency, 95th percentile"), milliseconds(before["latency_ms"]["p95"], language),
         milliseconds(after["latency_ms"]["p95"], language), ""),
        *((title, decimal(before["size"][key], language, 0), decimal(after["size"][key], language, 0), "")
          for title, key in ((_("Parameters"), "parameters"), (_("Parameters that are not zero"), "nonzero_parameters"),
                             (_("Multiply-accumulates"), "macs"))),
        (_("Peak memory, MB"), decimal(before["peak_memory_bytes"] / 1e6, language),
         decimal(after["peak_memory_bytes"] / 1e6, language), ""),
    ]
    st.subheader(_("Figures"))
    table(rows, (_("Baseline"), _("Compressed"), _("Change")))
    n = decimal(record["images"]["test"]["n"], language, 0)
    st.caption(view.of_images(
        validation=_("Measured on {n} validation images: a search chooses by them, and keeps its test images for its "
                     "finalists."),
        test=_("Measured on {n} test images."),
    ).format(n=n))
    st.caption(_("Ratios are baseline divided by compressed: above 1 is smaller or faster. Latencies were measured "
                 "side by side in one process; intervals are 95%."))


def _sizes(record: dict[str, Any], details: dict[str, Any], language: str, _: Callable[[str], str]) -> None:
    st.subheader(_("How small it really is"))
    before, after, bounds = record["baseline"]["size"], record["compressed"]["size"], details["bounds"]
    rows: list[Row] = [
        (title, megabytes(before[key], language), megabytes(after[key], language),
         f"{decimal(before[key] / after[key], language, 2)} ×")
        for title, key in ((_("The file, which ships"), "tflite_bytes"), (_("gzip -9"), "gzip_bytes"),
                           (_("zstd -19"), "zstd_bytes"))
    ]
    rows += [
        (title, "–", megabytes(bounds[key], language),
         f"{decimal(before['tflite_bytes'] / bounds[key], language, 2)} ×")
        for title, key in ((_("Stored sparse (estimate)"), "sparse_bytes"),
                           (_("Entropy bound (no such file)"), "entropy_bytes"))
    ]
    table(rows, (_("Baseline"), _("Compressed"), _("Smaller")))


def _speed(record: dict[str, Any], details: dict[str, Any], language: str, _: Callable[[str], str]) -> None:
    st.subheader(_("Will it run faster?"))
    before, after = record["baseline"]["size"]["macs"], record["compressed"]["size"]["macs"]
    ratio = record["comparison"]["latency_ratio"]
    st.markdown(plain(_(
        "By multiplications alone it would be {predicted} times as fast; measured here it is {measured} times "
        "({low} to {high}), on {machine}."
    ).format(
        predicted=decimal(before / max(after, 1), language, 2), measured=decimal(ratio["value"], language, 2),
        low=decimal(ratio["low"], language, 2), high=decimal(ratio["high"], language, 2),
        machine=record["environment"]["processor"],
    )))
    sparse = details["sparse_speed"]
    if sparse["eligible"]:
        st.markdown(plain(_("XNNPACK would use the zeros of {count} layers on phones and in browsers.").format(
            count=len(sparse["sparse_layers"]))))
    elif sparse["reasons"]:
        st.markdown(_("Zeros by themselves save no time, because:"))
    for reason in sparse["reasons"]:
        st.markdown(f"- {plain(_(reason['message']).format(**reason['parameters']))}")


def _said(content: dict[str, Any], _: Callable[[str], str], language: str) -> str:
    said = Sentence(code=content["code"], message=content["message"], parameters=content["parameters"])
    return said.render(_, language)
