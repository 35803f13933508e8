"""Sign up: a new account, by the installation's policy."""

import streamlit as st

from core.errors import InputError
from core.locales import N_
from pages._ui import auth, errors, i18n, services
from pages._ui.gate import Gate
from pages._ui.password_form import new_password

if auth.current() is not None:
    st.switch_page("pages/public/welcome.py")

_ = i18n.translate()
invitation = st.query_params.get("invitation", "")
policy = services.settings().sign_up.policy
st.title(_("Create an account"))
if policy == "closed":
    st.info(_("Sign-up is closed on this installation. Ask its administrator for an account."),
            icon=":material/lock:")
    st.stop()
if policy == "invitation" and not invitation:
    st.info(_("Accounts are by invitation here. Open the link of your invitation to sign up."),
            icon=":material/mail:")
    st.stop()

# Not the package's form: a form sends its fields only at the end, so it cannot show strength meanwhile.
with st.container(border=True):
    name = st.text_input(_("Name"), key="sign_up.name", autocomplete="name", max_chars=64,
                         help=_("What the app calls you; any script."))
    email = st.text_input(_("E-mail"), key="sign_up.email", autocomplete="email", max_chars=254)
    username = st.text_input(_("User name"), key="sign_up.username", autocomplete="username", max_chars=32,
                             help=_("To sign in with; capitals make no difference."))
    password, repeated = new_password("sign_up", (name, email, username))
    agreed = st.checkbox(_("I will only use photos and models that I have the right to use."),
                         key="sign_up.agreed")
    asked = st.button(_("Create the account"), type="primary", key="sign_up.create",
                      icon=":material/person_add:")

if asked:
    with errors.shown(), st.spinner(_("Creating the account…")):
        if not agreed:
            raise InputError(N_("Tick the box about the right to use your photos and models first."))
        if password != repeated:
            raise InputError(N_("The two passwords differ. Type the same one twice."))
        signed_in = services.accounts().sign_up(
            username=username, name=name, email=email, password=password, language=i18n.language(),
            invitation=invitation or None, address=auth.address(), user_agent=auth.user_agent(),
        )
        Gate().enter(signed_in.token)
        st.success(_("Welcome! Your account is ready."), icon=":material/check_circle:")

st.caption(_("Photos are read in memory and never kept. You can delete the account and all it owns at any "
             "time, on the page “My account”."))
st.page_link("pages/public/sign_in.py", label=_("I have an account: sign in"), icon=":material/login:")
