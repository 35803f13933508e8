"""Models: the library, card by card, and what state each is in."""

import streamlit as st

from pages._ui import auth, i18n, services
from pages._ui.model_card import show_model

principal = auth.guard()
_ = i18n.translate()
st.title(_("Models"))
st.markdown(_("Each model has a card: what it recognises, what it expects, how good it is and how that was "
              "measured. Models that you make or import appear here too."))
for card in services.shelf().cards_of(principal.user_id).values():
    show_model(card)
