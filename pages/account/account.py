"""My account: profile, password, sessions, and the way out."""

import streamlit as st

from core.errors import InputError
from core.locales import LANGUAGES, N_
from pages._ui import auth, errors, i18n, services
from pages._ui.gate import Gate
from pages._ui.password_form import new_password
from pages._ui.session_list import session_list
from pages._ui.sign_in import on_its_way
from pages._ui.state import state

principal = auth.guard()
_ = i18n.translate()
accounts = services.accounts()
st.title(_("My account"))
if st.query_params.get("changed") == "password":
    del st.query_params["changed"]
    st.success(_("The password is changed and your other sessions have ended."),
               icon=":material/check_circle:")

profile, password, sessions, leave = st.tabs([
    _("Profile"), _("Password"), _("Sessions"), _("Delete"),
])

with profile, st.form("account.profile"):
    st.text_input(_("User name"), principal.username, disabled=True, key="account.username")
    name = st.text_input(_("Name"), principal.name, max_chars=64, key="account.name")
    email = st.text_input(_("E-mail"), principal.email, max_chars=254, key="account.email")
    language = st.selectbox(_("Language"), list(LANGUAGES), list(LANGUAGES).index(i18n.language()),
                            format_func=LANGUAGES.__getitem__, key="account.language")
    proof = st.text_input(_("Current password, only to change the e-mail"), type="password",
                          key="account.proof", autocomplete="current-password", max_chars=128)
    if st.form_submit_button(_("Save"), type="primary", icon=":material/save:"):
        with errors.shown():
            accounts.update_profile(principal, name=name, email=email, language=language, password=proof)
            state.language = language
            i18n.settle()
            _ = i18n.translate()
            state.notice = _("Your profile is saved.")
            st.rerun()

with password:
    st.caption(_("A new password ends your other sessions at once."))
    old = st.text_input(_("Current password"), type="password", key="account.old", max_chars=128,
                        autocomplete="current-password")
    new, repeated = new_password("account", (principal.username, principal.name, principal.email),
                                 label=_("New password"))
    if st.button(_("Change the password"), type="primary", key="account.change",
                 icon=":material/lock_reset:"):
        with errors.shown():
            if new != repeated:
                raise InputError(N_("The two passwords differ. Type the same one twice."))
            changed = accounts.change_password(principal, old, new, address=auth.address(),
                                               user_agent=auth.user_agent())
            st.query_params["changed"] = "password"
            Gate().enter(changed.token)
            on_its_way()

with sessions:
    session_list(principal)

with leave:
    st.warning(_("This deletes your account and everything it owns, for good."), icon=":material/warning:")
    with st.form("account.delete"):
        confirmed = st.checkbox(_("Yes, delete my account and all it owns."), key="account.sure")
        final = st.text_input(_("Password"), type="password", key="account.final", max_chars=128,
                              autocomplete="current-password")
        if st.form_submit_button(_("Delete the account"), icon=":material/delete_forever:"):
            with errors.shown():
                if not confirmed:
                    raise InputError(N_("Tick the box to confirm that the account is to be deleted."))
                accounts.delete_account(principal, final)
                Gate().forget()
                st.stop()
