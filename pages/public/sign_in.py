"""Sign in: the same form that stands in for a page that needs it."""

import streamlit as st

from pages._ui import auth

auth.guard()
st.switch_page("pages/public/welcome.py")
