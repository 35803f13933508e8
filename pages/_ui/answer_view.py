"""Show what a model says about photos: one card for each, and a table for many."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.accounts import Principal
from core.charts import top_bars
from core.errors import SecateurError
from core.inference import Answer, rows, to_csv, to_json
from pages._ui import answers, errors, i18n, services
from pages._ui.answers import Answered
from pages._ui.model_choice import form_title
from pages._ui.numbers import decimal, megabytes, percent
from pages._ui.text import plain


def verdict(answer: Answer) -> str:
    """Return the best class and its probability in plain words, as Markdown."""
    _ = i18n.translate()
    best = answer.predictions[0]
    if answer.unsure:
        words = _("Not sure. Best guess: **{label}** ({share})")
    elif best.probability >= 0.95:
        words = _("Almost certainly: **{label}** ({share})")
    elif best.probability >= 0.8:
        words = _("Very probably: **{label}** ({share})")
    else:
        words = _("Probably: **{label}** ({share})")
    return words.format(label=plain(best.label), share=plain(percent(best.probability, i18n.language())))


def show_card(principal: Principal, answered: Answered, model: str, place: int = 0) -> None:
    """Show one photo with its answer, or with the sentence that says why there is none."""
    _ = i18n.translate()
    name = answered.photo.name
    if isinstance(answered.outcome, SecateurError):
        st.error(f"{plain(name)}: {errors.sentence(answered.outcome)}", icon=":material/broken_image:")
        return
    answer = answered.outcome
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="medium")
        left.image(answer.picture, width="stretch", caption=plain(name),
                   alt=_("The photo {name}").format(name=name))
        with right:
            show_answer(answer)
            _where_it_looked(principal, answered, model, place)


def show_answer(answer: Answer) -> None:
    """Show what one model says about one photo: in words, as bars, and with its times and its size."""
    _ = i18n.translate()
    st.markdown(f"#### {verdict(answer)}")
    if answer.unsure:
        st.info(_("No class stands out. The photo may show something that this model was not "
                  "taught, or several things at once."), icon=":material/help:")
    _bars(answer)
    _facts(answer)


def show_table(results: Sequence[Answered]) -> None:
    """Show all answers as a table with downloads for a spreadsheet and for a program."""
    import pandas

    _ = i18n.translate()
    outcomes = [
        (item.photo.name, item.outcome if isinstance(item.outcome, Answer)
         else item.outcome.render(_)) for item in results
    ]
    table = pandas.DataFrame(rows(outcomes), columns=["file", "label", "probability", "unsure", "error"])
    table.insert(0, "photo", [item.icon for item in results])
    table["probability"] = table["probability"].astype(float) * 100
    table["unsure"] = [_("not sure") if unsure is True else "" for unsure in table["unsure"]]
    table[["label", "error"]] = table[["label", "error"]].fillna("")
    columns = {
        "photo": st.column_config.ImageColumn(_("Photo"), width="small"),
        "file": st.column_config.TextColumn(_("File")),
        "label": st.column_config.TextColumn(_("Best class")),
        "probability": st.column_config.ProgressColumn(
            _("Probability"), min_value=0, max_value=100, format="%.0f %%"),
        "unsure": st.column_config.TextColumn(_("Certainty")),
        "error": st.column_config.TextColumn(_("Problem"), width="large"),
    }
    if not table["error"].any():
        table, columns = table.drop(columns="error"), {**columns, "error": None}
    failed = sum(isinstance(item.outcome, SecateurError) for item in results)
    st.subheader(_("{count} photos").format(count=len(results)))
    if failed:
        st.caption(_("{failed} of them could not be read; the others are not affected.").format(
            failed=failed))
    st.dataframe(table, hide_index=True, column_config=columns, row_height=48, key="answers.table",
                 alt=_("Each photo with its best class and its probability"))
    with st.container(horizontal=True):
        st.download_button(_("Download as CSV"), lambda: to_csv(outcomes), "classification.csv", "text/csv",
                           key="answers.csv", icon=":material/table:", on_click="ignore")
        st.download_button(_("Download as JSON"), lambda: to_json(outcomes), "classification.json",
                           "application/json", key="answers.json", icon=":material/data_object:",
                           on_click="ignore")


def _bars(answer: Answer) -> None:
    _ = i18n.translate()
    language = i18n.language()
    classes = [(p.label, p.probability, percent(p.probability, language)) for p in answer.predictions]
    chart = top_bars(
        classes, unsure_below=services.settings().models.unsure_below, class_title=_("Class"),
        probability_title=_("Probability"), threshold_title=_("Below this line: not sure"))
    heard = ", ".join(f"{label} {text}" for label, _probability, text in classes)
    st.vega_lite_chart(chart, alt=_("Most probable classes: {classes}").format(classes=heard))


def _facts(answer: Answer) -> None:
    _ = i18n.translate()
    language = i18n.language()
    st.caption(_(
        "Read and resized in {before} ms, recognised in {inside} ms (medians of a few runs) by "
        "{model}, {form}, a file of {size}."
    ).format(
        before=plain(decimal(answer.preprocess_ms, language)),
        inside=plain(decimal(answer.inference_ms, language)),
        model=plain(answer.title), form=plain(form_title(answer.form)),
        size=plain(megabytes(answer.model_bytes, language)),
    ))


@st.fragment
def _where_it_looked(principal: Principal, answered: Answered, model: str, place: int) -> None:
    with errors.shown():
        _ = i18n.translate()
        photo = answered.photo
        if not st.toggle(_("Show where the model looked"),
                         key=f"answers.look_{place}_{photo.digest[:16]}"):
            return
        with st.spinner(_("Hiding one part of the photo after another")):
            found = answers.explain(principal, photo, model, answered.outcome.predictions[0].index)
        st.image(found.picture, width=360, alt=_(
            "Heat map over the photo: light where hiding a part lowers the probability most"))
        st.caption(_(
            "Each of {positions} parts was hidden in turn. Where the picture is light, hiding that part "
            "lowered the probability of **{label}**, by up to {drop} points; where it is dark, it "
            "made no difference. The picture is cut as the model sees it."
        ).format(positions=found.positions, label=plain(found.label),
                 drop=plain(decimal(found.largest_drop * 100, i18n.language(), 0))))
