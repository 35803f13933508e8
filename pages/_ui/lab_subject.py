"""What the lab works on: a model of the library and a set of images, with the baseline's figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import streamlit as st

from core.accounts import Principal
from core.datasets import BUILT_IN, DOWNLOADS
from core.experiments.estimates import Baseline
from core.locales import N_
from core.zoo import ModelCard
from pages._ui import address, errors, i18n, recipe_address, services
from pages._ui.moments import moment
from pages._ui.numbers import decimal, megabytes, milliseconds
from pages._ui.state import state
from pages._ui.text import plain

_NAMES = {
    "digits": N_("Digits: 1,797 small handwritten digits, labelled"),
    "photos": N_("Photos: crops of bundled photos, no labels"),
    "imagenette-160": N_("Imagenette: ten classes of ImageNet (downloaded on first use)"),
    "cifar-10": N_("CIFAR-10: 60,000 small photos (downloaded on first use)"),
    "fashion-mnist": N_("Fashion-MNIST: 70,000 small pictures of clothes (downloaded on first use)"),
}
_FIRST = {"digits": "digits"}


@dataclass(frozen=True)
class Subject:
    """A model, and data as a run names it."""

    card: ModelCard
    data: str
    labelled: bool

    @property
    def model(self) -> str:
        """The model as a run names it."""
        return self.card.name


def choose_subject(principal: Principal) -> Subject | None:
    """Show both choices, kept in the page's address; None while there is no model."""
    _ = i18n.translate()
    cards = {card.name: card for card in services.library().cards_of(principal.user_id) if card.weights.kind != "none"}
    if not cards:
        st.info(_("There is no model to compress yet."), icon=":material/account_tree:")
        return None
    left, right, more = st.columns([3, 4, 2], vertical_alignment="bottom")
    ready = [name for name in cards if services.library().status(name) == "ready"] or list(cards)
    preferred = "digits" if "digits" in ready else ready[0]
    _take_from_address("model", "lab.model", list(cards), preferred)
    with left:
        name = st.selectbox(_("Model"), list(cards), key="lab.model",
                            format_func=lambda key: cards[key].text(i18n.language()).title)
    sets, labelled = image_sets(principal)
    wanted = _FIRST.get(name, "photos")
    _take_from_address("data", "lab.data", list(sets), wanted)
    with right:
        data = st.selectbox(_("Images"), list(sets), key="lab.data", format_func=sets.__getitem__,
                            help=_("Half of them test, the rest calibrates and repairs. Labelled images measure "
                                   "accuracy, others agreement with the original."))
    with more:
        _upload(principal)
    recipe_address.keep(model=name, data=data)
    return Subject(cards[name], data, labelled[data])


def image_sets(principal: Principal) -> tuple[dict[str, str], dict[str, bool]]:
    """Return what each set of images that a person may use is called, and whether it has labels."""
    _ = i18n.translate()
    sets = {spec: _(_NAMES.get(spec, spec)) for spec in (*BUILT_IN, *DOWNLOADS)}
    labelled = {spec: spec != "photos" for spec in sets}
    for upload in services.uploads().uploads(principal):
        kind = (_("{images} images in {classes} classes") if upload.classes else _("{images} images, no labels"))
        labelled[upload.spec] = upload.classes > 0
        sets[upload.spec] = f"{upload.name} · {kind.format(images=upload.images, classes=upload.classes)}"
    return sets, labelled


def baseline_card(base: Baseline | None) -> None:
    """Show the uncompressed model's figures, or say that the first run measures them."""
    _ = i18n.translate()
    language = i18n.language()
    with st.container(border=True):
        if base is None:
            st.markdown(_("**Baseline**: not measured on these images yet. The first run measures it, in the same "
                          "process and on the same images as what it makes."))
            return
        accuracy = _("no labels") if base.top1 is None else _("{top1}% right ({low} to {high})").format(
            top1=decimal(100 * base.top1, language), low=decimal(100 * (base.top1_low or 0), language),
            high=decimal(100 * (base.top1_high or 0), language))
        st.markdown(_("**Baseline**: {accuracy} on {n} images · {file}, {gzip} packed · {time} per image").format(
            accuracy=plain(accuracy), n=decimal(base.n, language, 0),
            file=plain(megabytes(base.tflite_bytes, language)),
            gzip=plain(megabytes(base.gzip_bytes, language)),
            time=plain(milliseconds(base.latency_ms, language))))


def _upload(principal: Principal) -> None:
    _ = i18n.translate()
    most = min(services.settings().limits.dataset_mb, float(st.get_option("server.maxUploadSize")))

    def keep(key: str) -> None:
        file = st.session_state.get(key)
        if file is None:
            return
        with errors.shown():
            upload = services.uploads().add(principal, file.name, file.getvalue())
            state.serial += 1
            st.session_state["lab.data"] = upload.spec
            state.notice = _("The images are stored and checked.")

    def drop(spec: str) -> None:
        with errors.shown():
            services.uploads().delete(principal, spec)
            state.notice = _("The images are deleted.")

    with st.popover(_("Own images"), icon=":material/upload:", width="stretch"):
        st.markdown(_("A .zip of photos, in one folder for each class, or without folders when there are no labels. "
                      "Class folders are named like the model's classes."))
        key = f"lab.upload.{state.serial}"
        # Checking decodes every photo, so it happens once, in the callback.
        st.file_uploader(_("Zip of images"), type=["zip"], key=key, max_upload_size=math.floor(most) or 1,
                         on_change=keep, args=(key,))
        for upload in services.uploads().uploads(principal):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{plain(upload.name)}  \n:small[:gray[{plain(moment(upload.created_at))} · "
                            f"{plain(megabytes(upload.bytes, i18n.language()))}]]", width="stretch")
                st.button(_("Delete"), key=f"lab.drop.{upload.id}", icon=":material/delete:", type="tertiary",
                          on_click=drop, args=(upload.spec,))


def _take_from_address(name: str, key: str, options: list[str], default: str) -> None:
    asked = st.query_params.get(name)
    if st.session_state.get(key) not in options or (address.went_back() and asked in options):
        st.session_state[key] = asked if asked in options else default
