"""The model of a run in other formats: asked for with a button, made in the background, then downloaded."""

from __future__ import annotations

import streamlit as st

from core.accounts import Principal
from core.jobs.exports import Export, Exports
from core.locales import N_
from pages._ui import errors, i18n, services
from pages._ui.numbers import decimal, megabytes
from pages._ui.run_access import View
from pages._ui.text import plain

FORMATS = {
    "saved_model": (N_("SavedModel"), ":material/folder_zip:", "-saved_model.zip", "application/zip",
                    N_("The Keras model as TensorFlow Serving and TensorFlow.js take it, before quantization.")),
    "onnx": (N_("ONNX"), ":material/conversion_path:", ".onnx", "application/octet-stream",
             N_("The file that was measured, for ONNX Runtime and for tools that read nothing else.")),
}
_LOOK_AGAIN_S = 1.0


@services.once
def exports() -> Exports:
    """Return the conversions of this installation."""
    return Exports(services.experiments(), services.settings())


def show_export(view: View, form: str, name: str) -> None:
    """Show the button, the progress or the download of one format; ``name`` is that of the file without its ending."""
    with st.container(border=True, height="stretch"):
        with errors.shown():
            if view.principal is not None:
                found = exports().state(view.principal, view.run.id, form)
                if found.status in ("waiting", "running"):
                    _follow(view.principal, view.run.id, form)
                else:
                    _ended(view.principal, view.run.id, form, found, name)
        st.caption(i18n.translate()(FORMATS[form][4]))


@st.fragment(run_every=_LOOK_AGAIN_S)
def _follow(principal: Principal, run_id: str, form: str) -> None:
    with errors.shown():
        _ = i18n.translate()
        found = exports().state(principal, run_id, form)
        if found.status not in ("waiting", "running"):
            st.rerun()
        stage = _(found.stage) if found.stage else _("Waiting") if found.status == "waiting" else _("Starting")
        st.progress(min(max(found.fraction, 0.0), 1.0), text=f"{plain(_(FORMATS[form][0]))} · {plain(stage)}")


def _ended(principal: Principal, run_id: str, form: str, found: Export, name: str) -> None:
    _ = i18n.translate()
    title, icon, ending, mime, _note = FORMATS[form]
    language = i18n.language()
    if found.path is not None:
        path = found.path
        label = f"{_(title)} · {megabytes(path.stat().st_size, language)}"
        st.download_button(label, path.read_bytes, f"{name}{ending}", mime, key=f"run.export_{form}", icon=icon,
                           on_click="ignore")
        if found.checked:
            st.caption(plain(_("Compared on {images} images: {same}% same answers, probabilities apart by at most "
                               "{apart}.").format(
                images=found.checked["images"], same=decimal(100 * found.checked["same"], language, 0),
                apart=f"{found.checked['apart']:.1g}")))
        return
    if found.error is not None:
        st.error(plain(_(found.error.message).format(**found.error.parameters)), icon=":material/error:")
    if st.button(_("Make {format}").format(format=_(title)), key=f"run.make_{form}", icon=icon):
        exports().start(principal, run_id, form)
        st.rerun()
