"""Users and invitations, for administrators."""

import streamlit as st

from pages._ui import auth, i18n
from pages._ui.admin_forms import invitations, invite, secret_link, users

principal = auth.guard("admin")
_ = i18n.translate()
st.title(_("Users"))
secret_link()
people, invited = st.tabs([_("Accounts"), _("Invitations")])
with people:
    users(principal)
with invited:
    invite(principal)
    invitations(principal)
