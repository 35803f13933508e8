"""Sign up: a new account, by the installation's policy."""

import streamlit as st

from core.errors import InputError
from core.locales import N_
from pages._ui import auth, errors, i18n, services
from pages._ui.gate import Gate
from pages._ui.password_form import new_password
from pages._ui.sign_in import on_its_way

if auth.current() is not None:
    st.switch_page("pages/public/welcome.py")

_ = i18n.translate()
invitation = st.query_params.get("invitation", "")
accounts, rules = services.accounts(), services.settings().sign_up
policy = rules.policy
st.title(_("Create an account"))
if policy == "closed":
    st.info(_("Sign-up is closed on this installation. Ask its administrator for an account."),
            icon=":material/lock:")
elif policy == "invitation" and not invitation:
    st.info(_("Accounts are by invitation here. Open the link of your invitation to sign up."),
            icon=":material/mail:")
elif invitation and accounts.invited(invitation) is None:
    st.warning(_("This invitation has expired or was used before. Ask for a new one."),
               icon=":material/mail:")
# Whoever the settings name as administrator opens the first account under any policy.
if not (policy == "open" or invitation or rules.first_is_admin or rules.admins):
    st.stop()

# Not the package's form: a form sends its fields only at the end, so it cannot show strength meanwhile.
with st.container(border=True):
    name = st.text_input(_("Name"), key="sign_up.name", autocomplete="name", max_chars=64,
                         help=_("What the app calls you; any script."))
    bound = accounts.invited(invitation) if invitation else None
    email = st.text_input(_("E-mail"), bound or "", key="sign_up.email", autocomplete="email",
                          max_chars=254, disabled=bool(bound))
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
        signed_in = accounts.sign_up(
            username=username, name=name, email=email, password=password, language=i18n.language(),
            invitation=invitation, address=auth.address(), user_agent=auth.user_agent(),
        )
        Gate().enter(signed_in.token)
        st.success(_("Welcome! Your account is ready."), icon=":material/check_circle:")
        on_its_way()

st.caption(_("Photos are read in memory and never kept. You can delete the account and all it owns at any "
             "time, on the page “My account”."))
st.page_link("pages/public/sign_in.py", label=_("I have an account: sign in"), icon=":material/login:")
