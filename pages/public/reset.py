"""New password: redeem a single-use link that an administrator made."""

import streamlit as st

from core.errors import InputError
from core.locales import N_
from pages._ui import errors, i18n, services
from pages._ui.password_form import new_password

_ = i18n.translate()
st.title(_("Choose a new password"))
link = st.query_params.get("token", "")
if not link:
    st.info(_("This page opens from a reset link. Ask an administrator for one."), icon=":material/link:")
    st.stop()
with st.container(border=True):
    password, repeated = new_password("reset", label=_("New password"))
    asked = st.button(_("Set the password"), type="primary", key="reset.set", icon=":material/lock_reset:")
if asked:
    with errors.shown():
        if password != repeated:
            raise InputError(N_("The two passwords differ. Type the same one twice."))
        services.accounts().redeem_reset(link, password)
        st.success(_("The password is set and every old session has ended. Sign in with it."),
                   icon=":material/check_circle:")
        st.page_link("pages/public/sign_in.py", label=_("Sign in"), icon=":material/login:")
