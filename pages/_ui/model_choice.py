"""Choose a model and its form; show how far it is while it is not ready."""

from __future__ import annotations

import logging
import threading

import streamlit as st

from core.accounts import Principal
from core.errors import NotFoundError, SecateurError
from core.locales import N_
from core.zoo import ModelCard
from pages._ui import errors, i18n, services
from pages._ui.numbers import megabytes
from pages._ui.text import plain

logger = logging.getLogger("secateur.pages")
FORMS = {
    "float32": N_("Full precision (float32)"),
    "float16": N_("Half precision (float16)"),
    "dynamic": N_("Integer weights (dynamic range)"),
    "int8": N_("Compact (int8)"),
    "int16x8": N_("16-bit activations (int16x8)"),
}
_LOOK_AGAIN_S = 1.5
_lock = threading.Lock()
_running: set[str] = set()


def form_title(form: str) -> str:
    """Return what a form of a model's file is called."""
    return i18n.translate()(FORMS[form]) if form in FORMS else form


def choose_model(page: str, principal: Principal) -> tuple[ModelCard, str]:
    """Show both choices in one row, kept in the page's address; return the card and the form."""
    _ = i18n.translate()
    language = i18n.language()
    shelf = services.shelf()
    cards = shelf.cards_of(principal.user_id, st.query_params.get("model"))
    if not cards:
        raise NotFoundError(N_("This installation has no model. Put one into its models folder."))
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    _take_from_address("model", f"{page}.model", list(cards))
    name = left.selectbox(
        _("Model"), list(cards), format_func=lambda key: cards[key].text(language).title,
        key=f"{page}.model",
    )
    card = cards[name]

    def title(form: str) -> str:
        size = shelf.size(card, form)
        return form_title(form) + ("" if size is None else f" · {megabytes(size, language)}")

    _take_from_address("form", f"{page}.form", card.forms)
    form = right.segmented_control(
        _("Form"), card.forms, required=True, format_func=title, key=f"{page}.form", wrap=True,
        help=_("The same network in files of different precision. Smaller forms are faster and give "
               "almost the same answers."),
    )
    _keep_in_address("model", name, next(iter(cards)))
    _keep_in_address("form", form, card.forms[0])
    return card, form


def _take_from_address(name: str, key: str, options: list[str]) -> None:
    # Streamlit's own binding would put the translated label there instead of the name.
    if st.session_state.get(key) not in options:
        asked = st.query_params.get(name)
        st.session_state[key] = asked if asked in options else options[0]


def _keep_in_address(name: str, value: str, default: str) -> None:
    if value != default:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def prepare(*names: str) -> None:
    """Build models' files in one child process, in the background; each model once at a time."""
    with _lock:
        wanted = [name for name in names if name not in _running]
        _running.update(wanted)
    if not wanted:
        return

    def build() -> None:
        try:
            services.library().prepare(names=wanted)
        except SecateurError as error:
            logger.warning("preparing %s failed: %s", ", ".join(wanted), error)
        finally:
            with _lock:
                _running.difference_update(wanted)

    threading.Thread(target=build, name="prepare", daemon=True).start()


def ready_or_wait(card: ModelCard) -> bool:
    """Return whether the model can answer; else show how far it is, and look again by itself."""
    _ = i18n.translate()
    status = services.shelf().status(card.name)
    if status == "ready":
        return True
    if status == "waiting":
        st.info(_("This model is waiting for its weights."), icon=":material/hourglass_empty:")
        st.markdown(plain(card.text(i18n.language()).how_to_add))
        # A run with the file in place finds the model "preparing" and never comes here.
        if st.button(_("Prepare"), key=f"model_choice.prepare_{card.name}", icon=":material/build:"):
            st.warning(_("The file is not there yet."), icon=":material/search_off:")
        return False
    if status == "preparing":
        prepare(card.name)
    _watch(card.name)
    return False


@st.fragment(run_every=_LOOK_AGAIN_S)
def _watch(name: str) -> None:
    with errors.shown():
        _ = i18n.translate()
        library = services.library()
        status = library.status(name)
        if status == "ready":
            st.rerun()
        progress = library.progress(name)
        if status == "failed":
            st.error(plain(progress.explain(_)) if progress else _("The preparation failed."),
                     icon=":material/error:")
            if st.button(_("Try again"), key=f"model_choice.retry_{name}", icon=":material/refresh:"):
                prepare(name)
            return
        st.info(_("The model is being prepared. This happens once and takes about a minute; the page "
                  "goes on by itself."), icon=":material/hourglass_top:")
        st.progress(progress.fraction if progress else 0.0,
                    text=plain(progress.explain(_)) if progress else _("Starting"))
