"""Experiments: all of one's runs, and two to eight of them side by side."""

import streamlit as st

from pages._ui import auth, experiments_choice, i18n, services

_ = i18n.translate()
if "share" in st.query_params:
    from pages._ui.experiments_compare import shared, show_comparison

    show_comparison(shared(st.query_params["share"]))
    st.stop()
principal = auth.guard()
if (compared := experiments_choice.compared()) is not None:
    from pages._ui.experiments_compare import opened, show_comparison

    show_comparison(opened(principal, compared))
    st.stop()

from pages._ui import experiments_list as runs  # noqa: E402 - it brings pandas, which a comparison may not need

st.title(_("Experiments"))
listing = services.listing()
filters, order = runs.choose_filters(listing.choices(principal))
runs.show_undo(principal)
_found, total = listing.page(principal, filters, order, limit=1)
offset = runs.turn_pages(total)
found, total = listing.page(principal, filters, order, limit=runs.PER_PAGE, offset=offset)
if found:
    chosen = runs.show_table(principal, found, total, offset)
    runs.show_selection(principal, chosen, filters.archived)
    runs.watch(principal, found)
else:
    runs.show_empty(filters != type(filters)())
