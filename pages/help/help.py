"""Help: what the app does with what it is given, and where to start."""

import streamlit as st

from core.settings import ROOT
from pages._ui import auth, i18n, services

auth.guard()
_ = i18n.translate()
limits = services.settings().limits
st.title(_("Help"))
st.markdown(_(
    "**Classify** tells what a photo shows, with the probability of the best answers. "
    "**Models** lists what is installed: size, input, labels, source and licence."
))
st.subheader(_("Photos"))
st.markdown(_(
    "JPEG, PNG, WebP and BMP up to {megabytes:g} MB and {megapixels:g} megapixels, {batch} at a time. "
    "Photos are turned upright, read in memory and never written to disk."
).format(megabytes=limits.photo_mb, megapixels=limits.photo_megapixels, batch=limits.photos_per_batch))
st.subheader(_("Words"))
st.markdown(_(
    "- **float32, int8**: the numbers that a model file is made of. Eight-bit integers make it about four "
    "times smaller and faster on most processors.\n"
    "- **Top-1 accuracy**: the share of photos whose best answer is right.\n"
    "- **Probability**: how sure the model is, which is not always how right it is."
))
st.subheader(_("Your account"))
st.markdown(_(
    "On **My account** you change your name, language and password, see where you are signed in, end those "
    "sessions and delete the account with all it owns."
))
licence = ROOT / "LICENSE"
st.caption(_("Sécateur is free software under the Apache License 2.0."))
if licence.is_file():
    with st.expander(_("Licence"), icon=":material/gavel:"):
        st.code(licence.read_text("utf-8"), language=None, wrap_lines=True, height=320)
