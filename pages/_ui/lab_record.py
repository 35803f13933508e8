"""How far the slider can be trusted: what was estimated of earlier runs beside what was measured."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from core.experiments.estimates import Expected, outcome
from pages._ui import i18n
from pages._ui.lab_past import Past
from pages._ui.numbers import decimal


def estimates_kept(known: Past) -> None:
    """Show the table of estimates against measurements, for the runs that were queued with an estimate."""
    import pandas

    _ = i18n.translate()
    rows, inside, count = [], 0, 0
    for run in known.finished:
        if run.estimate is None or run.record is None:
            continue
        measured = {key: math.exp(value) for key, value in outcome(run.record)[0].items()}
        row: dict[str, Any] = {_("Name of the run"): run.name}
        for title, told, value, factor in (
            (_("Packed kB"), run.estimate.get("gzip_bytes"), measured["gzip"], 1e-3),
            (_("Lost (%)"), run.estimate.get("loss"), 1 - math.exp(-measured["damage"]), 100.0),
            (_("Times as fast"), run.estimate.get("speed"), measured["speed"], 1.0),
        ):
            expected = Expected.model_validate(told)
            within = expected.low <= value <= expected.high
            inside, count = inside + within, count + 1
            figures = (expected.value, expected.low, expected.high, value)
            shown = [decimal(factor * figure, i18n.language(), 2) for figure in figures]
            row[title] = f"≈ {shown[0]} ({shown[1]} – {shown[2]}) → {shown[3]} {'✓' if within else '✗'}"
        rows.append(row)
    with st.expander(_("Estimates against measurements"), icon=":material/rule:"):
        if not rows:
            st.caption(_("After each run that is started here, this table shows what was estimated and what was "
                         "measured."))
            return
        st.markdown(_("{inside} of {count} measurements fell into the range that was shown before; nine of ten "
                      "should. The next ranges are widened or narrowed by this.").format(inside=inside, count=count))
        st.dataframe(pandas.DataFrame(rows), hide_index=True, key="lab.record",
                     alt=_("Each run with its estimates, their ranges, and the measurements"))
