"""A run: its recipe, how far it is, and everything that is known about what it made."""

import streamlit as st

from pages._ui import errors, i18n
from pages._ui.address import choose
from pages._ui.run_access import open_run
from pages._ui.run_head import show_head, show_outcome
from pages._ui.run_manage import show_actions

view = open_run()
_ = i18n.translate()
show_head(view)
with errors.shown():
    show_actions(view)
if not show_outcome(view):
    st.stop()

sections = {
    "overview": _("Overview"), "accuracy": _("Accuracy"), "layers": _("Layers"), "images": _("Changed images"),
    "files": _("Files"),
}
section = choose(_("Show"), sections, "view", "run.section")
with errors.shown():
    # Each section reads other files and draws other charts, so only the one on show is made.
    if section == "overview":
        from pages._ui.run_figures import show_overview as show
    elif section == "accuracy":
        from pages._ui.run_classes import show_accuracy as show
    elif section == "layers":
        from pages._ui.run_layers import show_layers as show
    elif section == "images":
        from pages._ui.run_flips import show_flips as show
    else:
        from pages._ui.run_files import show_files as show
    show(view)
