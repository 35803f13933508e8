"""Classify: drop photos and read what they show."""

import streamlit as st

from pages._ui import auth, i18n
from pages._ui.answer_pairs import choose_original, show_pair, show_summary
from pages._ui.answer_view import show_card, show_table
from pages._ui.answers import answer_all
from pages._ui.model_choice import choose_model, ready_or_wait
from pages._ui.photos import choose_photos

PER_PART = 8

principal = auth.guard()
_ = i18n.translate()
st.title(_("What is in the photo?"))
card, form = choose_model("classify", principal)
if not ready_or_wait(card):
    st.stop()

original = choose_original(principal, card, form)
photos = choose_photos("classify")
if not photos:
    st.stop()

model = f"{card.name}:{form}"
results = answer_all(principal, photos, model)
if len(results) > 1:
    show_table(results)
start = 0
if len(results) > PER_PART:
    parts = range(0, len(results), PER_PART)
    start = st.segmented_control(
        _("Show one by one"), parts, default=0, required=True, key="classify.part",
        format_func=lambda first: f"{first + 1}–{min(first + PER_PART, len(results))}") or 0
if original is not None:
    pairs = list(zip(answer_all(principal, photos, original), results, strict=True))
    show_summary(pairs)
    for before, after in pairs[start:start + PER_PART]:
        show_pair(before, after)
else:
    for place, answered in enumerate(results[start:start + PER_PART], start):
        show_card(principal, answered, model, place)
