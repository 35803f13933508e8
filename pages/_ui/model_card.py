"""One model's card as a person reads it."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from core.locales import N_
from core.zoo import ModelCard
from pages._ui import errors, i18n, services
from pages._ui.model_choice import form_title, ready_or_wait
from pages._ui.numbers import decimal, hundredths, megabytes
from pages._ui.text import plain

_STATUS = {
    "ready": (N_("Ready"), "green", "check_circle"),
    "preparing": (N_("Being prepared"), "blue", "hourglass_top"),
    "failed": (N_("Preparation failed"), "red", "error"),
    "waiting": (N_("Waiting for its weights"), "orange", "hourglass_empty"),
}
_METRICS = {"top1": N_("Top-1 accuracy"), "top5": N_("Top-5 accuracy")}
# What the bundled cards say of themselves in English; other people's cards are shown as they are written.
_BUNDLED = (
    N_("published by its authors on the ImageNet validation set"),
    N_("on the test part of the digits data with python -m core evaluate"),
    N_("that of the file you add"), N_("the authors of the course project"),
    N_("the Sécateur project; data by E. Alpaydin and C. Kaynak"),
)
_SOME = 12
_LABELS_HEIGHT = 280


def show_model(card: ModelCard) -> None:
    """Show the card; a model that fails to be read hurts no other."""
    with st.container(border=True), errors.shown():
        _ = i18n.translate()
        language = i18n.language()
        text = card.text(language)
        status = services.shelf().status(card.name)
        words, color, icon = _STATUS[status]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(text.title), width="content")
            st.badge(_(words), color=color, icon=f":material/{icon}:")
        st.markdown(plain(text.description))
        if status != "ready":
            ready_or_wait(card)
        left, right = st.columns(2, gap="large")
        with left:
            _facts(card, language)
        with right:
            st.markdown("\n\n".join(filter(None, (_forms(card, language), _metrics(card, language)))))
        labels = services.shelf().labels(card, language)
        with st.expander(_("{count} classes").format(count=decimal(len(labels), language, 0)),
                         icon=":material/sell:"):
            _labels(labels)
        if status == "ready":
            st.page_link("pages/studio/classify.py", label=_("Use it"), icon=":material/image_search:",
                         query_params={"model": card.name})


def _facts(card: ModelCard, language: str) -> None:
    _ = i18n.translate()
    spec = card.input
    colours = _("colour") if spec.channels == 3 else _("greyscale")
    lines = [
        (_("Task"), _("Image classification")),
        (_("Input"), f"{spec.width} × {spec.height}, {colours}"),
        (_("Parameters"), decimal(card.parameters, language, 0) if card.parameters else "–"),
        (_("Licence"), _(card.licence)),
        (_("Made by"), _(card.source.author) if card.source.author else "–"),
        (_("Name in links and commands"), card.name),
    ]
    st.markdown("  \n".join(f"**{term}** {plain(value)}" for term, value in lines))
    if card.source.citation:
        st.caption(plain(card.source.citation))
    if card.source.url.startswith("https://"):
        st.link_button(_("Source"), card.source.url, icon=":material/open_in_new:")


def _forms(card: ModelCard, language: str) -> str:
    _ = i18n.translate()
    lines = []
    for form in card.forms:
        size = services.shelf().size(card, form)
        words = _("not prepared yet") if size is None else megabytes(size, language)
        lines.append(f"**{plain(form_title(form))}** {plain(words)}")
    return "  \n".join(lines)


def _metrics(card: ModelCard, language: str) -> str:
    _ = i18n.translate()
    lines = []
    for metric in card.metrics:
        value = (hundredths(metric.value, language) if metric.value <= 1
                 else str(metric.value))
        name = _(_METRICS[metric.name]) if metric.name in _METRICS else metric.name
        images = _(" on {count} images").format(count=decimal(metric.n, language, 0)) if metric.n else ""
        lines.append(f"**{plain(name)}** {plain(value)} ({plain(form_title(metric.form))}{plain(images)}), "
                     + plain(_(metric.how)))
    return "  \n".join(lines)


def _labels(labels: list[str]) -> None:
    if len(labels) <= _SOME:
        st.markdown(plain(" · ".join(labels)))
        return
    with st.container(height=_LABELS_HEIGHT, border=False):
        st.markdown(_numbered(tuple(labels)))


@lru_cache(maxsize=64)
def _numbered(labels: tuple[str, ...]) -> str:
    return plain(" · ".join(f"{index}\N{NO-BREAK SPACE}{label}" for index, label in enumerate(labels)))
