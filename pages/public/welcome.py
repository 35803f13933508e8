"""Welcome: what Sécateur is, shown with figures measured on one of its own models."""

import streamlit as st

from core.settings import ROOT
from pages._ui import auth, i18n, services
from pages._ui.figures import example, measured
from pages._ui.site import site

if auth.current() is not None:
    paths = {entry.path: entry for entry in site()}
    st.switch_page("pages/" + paths.get("classify", paths["account"]).file)

_ = i18n.translate()
st.title(_("Smaller, faster image models, measured"))
st.markdown(_(
    "Sécateur classifies your photos and prunes, clusters and quantizes the network behind it. "
    "Every result is measured on the file that ships: its size, its time and its accuracy, "
    "with margins of error."
))

policy = services.settings().sign_up.policy
if policy == "open":
    if st.button(_("Create an account"), type="primary", icon=":material/person_add:",
                 key="welcome.sign_up"):
        st.switch_page("pages/public/sign_up.py")
elif policy == "invitation":
    st.info(_("Accounts are by invitation here. Open the link of your invitation to sign up."),
            icon=":material/mail:")
st.page_link("pages/public/sign_in.py", label=_("I have an account: sign in"), icon=":material/login:")

st.subheader(_("What compression does to one model"))
# Ours, wherever this installation keeps its models.
found = example(ROOT / "models" / "efficientnet-lite0" / "measured.json")
measured(_, found)
st.caption(_(
    "EfficientNet-Lite0 on {photos} photos of ImageNet, each of another class: the same model as 32-bit floats and "
    "as 8-bit integers, one photo at a time on one thread of an {processor}. The lines are 95% intervals."
).format(photos=found["photos"], processor=found["processor"]))
