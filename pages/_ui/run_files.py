"""What a run can be taken away as: the model, its report, a bundle that reproduces it, and a C array."""

from __future__ import annotations

import re
import unicodedata
from functools import partial

import streamlit as st

from core.experiments.bundle import C_ARRAY_MOST, bundle, c_array
from core.experiments.report import command_line, report
from pages._ui import errors, i18n, services
from pages._ui.numbers import megabytes
from pages._ui.run_access import View
from pages._ui.run_exports import show_export
from pages._ui.text import plain


def stem(name: str) -> str:
    """Return a file name made of a run's name: letters, digits and dashes."""
    plain_letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain_letters.lower()).strip("-")[:60] or "run"


def show_files(view: View) -> None:
    """Show the downloads, each made when it is asked for, and how to do the run again."""
    _ = i18n.translate()
    run, language = view.run, view.language
    name = f"{stem(run.name)}-{run.id[:8]}"
    sizes = {artifact.name: artifact.bytes for artifact in run.artifacts}

    def offer(label: str, key: str, icon: str, file: str, mime: str, make: object, note: str) -> None:
        with st.container(border=True, height="stretch"):
            st.download_button(label, make, file, mime, key=f"run.{key}", icon=icon, on_click="ignore")
            st.caption(plain(note))

    cards = [
        partial(offer, _("Model (.tflite)"), "tflite", ":material/deployed_code:", f"{name}.tflite",
                "application/octet-stream", lambda: view.file("model.tflite").read_bytes(),
                _("The file that was measured, {size}. It runs on phones, boards and computers.").format(
                    size=megabytes(sizes.get("model.tflite", 0), language))),
        partial(offer, _("Report"), "report", ":material/article:", f"{name}.html", "text/html",
                lambda: report(run, view.details(), language, view.labels()),
                _("One page with figures and charts that needs no network, in the language of this page.")),
        partial(offer, _("Bundle"), "bundle", ":material/inventory_2:", f"{name}.zip", "application/zip",
                lambda: bundle(run, f"{name}.zip"),
                _("Recipe, record and instructions: with it the run can be carried out again and checked.")),
    ]
    if view.has("model.keras"):
        cards.append(partial(
            offer, _("Keras model"), "keras", ":material/hub:", f"{name}.keras", "application/octet-stream",
            lambda: view.file("model.keras").read_bytes(),
            _("Before quantization, without wrappers, for tf_keras: to train it further.")))
    if sizes.get("model.tflite", C_ARRAY_MOST + 1) <= C_ARRAY_MOST:
        cards.append(partial(
            offer, _("C array"), "c", ":material/memory:", f"{name}.c", "text/x-c",
            lambda: c_array(view.file("model.tflite").read_bytes(), f"model_{run.id[:8]}"),
            _("The same bytes as C source, for TensorFlow Lite Micro.")))
    if view.principal is not None and view.token is None:
        cards += [partial(show_export, view, form, name)
                  for form in ("onnx", *(("saved_model",) if view.has("model.keras") else ()))]
    for first in range(0, len(cards), 2):
        for column, card in zip(st.columns(2), cards[first:first + 2], strict=False):
            with column:
                card()
    st.markdown(_("To carry it out again and have the figures compared:"))
    st.code(f"python -m core reproduce {name}.zip", language="bash", wrap_lines=True)
    with st.expander(_("The same as a single command, with the recipe beside it"), icon=":material/terminal:"):
        st.code(command_line(view.record), language="bash", wrap_lines=True)
        st.json(view.record["environment"], expanded=False)
    if view.mine:
        _serve(view)


def _serve(view: View) -> None:
    _ = i18n.translate()
    st.subheader(_("Try it on your photos"))
    with errors.shown():
        serving = services.serving()
        if not serving.served(view.principal, view.run):
            st.markdown(_("Puts the model into your library. Nobody else sees it there."))
            if st.button(_("Serve it on the classify page"), key="run.serve", icon=":material/image_search:"):
                serving.serve(view.principal, view.run, view.file("model.tflite"))
                services.shelf().forget()
                st.rerun()
            return
        from core.experiments.serving import variant_name

        with st.container(horizontal=True):
            st.page_link("pages/studio/classify.py", label=_("Classify with this model, beside the original"),
                         icon=":material/image_search:",
                         query_params={"model": variant_name(view.run), "beside": "yes"})
            if st.button(_("Take it out of the library"), key="run.withdraw", icon=":material/remove_circle:"):
                serving.withdraw(view.principal, view.run)
                services.shelf().forget()
                st.rerun()
