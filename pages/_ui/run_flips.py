"""The flip gallery: photos whose class changed, with both answers and, on demand, where both models looked."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import streamlit as st

from core.datasets import Subset
from core.errors import SecateurError
from core.experiments.gallery import Change, changes, heat_map, images_of, picture
from core.experiments.subjects import open_subject
from core.locales import N_
from pages._ui import errors, i18n, services
from pages._ui.numbers import percent
from pages._ui.run_access import View
from pages._ui.text import plain

PER_PART = 12
MOST_BUTTONS = 8
KINDS = {
    "right_to_wrong": N_("Right to wrong"), "wrong_to_right": N_("Wrong to right"),
    "wrong_to_other": N_("Wrong to another wrong class"), "changed": N_("Changed"),
}


def show_flips(view: View) -> None:
    """Show the images whose class changed, a dozen at a time."""
    _ = i18n.translate()
    found = changes(view.predictions())
    if not found:
        st.success(view.of_images(
            validation=_("No image changed its class: on every validation image the compressed model answers as the "
                         "baseline does."),
            test=_("No image changed its class: on every test image the compressed model answers as the baseline "
                   "does.")), icon=":material/check_circle:")
        return
    present = [kind for kind in KINDS if any(change.direction == kind for change in found)]
    counts = {kind: sum(change.direction == kind for change in found) for kind in present}
    kind = st.segmented_control(
        _("How they changed"), present, default=present[0], required=True, key="run.flip_kind",
        format_func=lambda key: f"{_(KINDS[key])} ({counts[key]})") or present[0]
    chosen = [change for change in found if change.direction == kind]
    start = 0
    if len(chosen) > PER_PART:
        start = _part(len(chosen), f"run.flip_part_{kind}")
    images = _images(view)
    labels = view.labels()
    with st.container(horizontal=True, gap="medium"):
        for change in chosen[start:start + PER_PART]:
            _show(view, change, images, labels, _)


def _part(count: int, key: str) -> int:
    """Return where the chosen dozen begins; many of them are a list, because their buttons would fill the page."""
    _ = i18n.translate()
    parts = range(0, count, PER_PART)

    def title(first: int) -> str:
        return f"{first + 1}–{min(first + PER_PART, count)}"

    if len(parts) > MOST_BUTTONS:
        return st.selectbox(_("Part"), parts, format_func=title, key=f"{key}_of_many", width=200)
    return st.segmented_control(_("Part"), parts, default=0, required=True, key=key, format_func=title) or 0


def _images(view: View) -> Subset | None:
    try:
        return images_of(open_subject(view.run.request.data, services.settings()), view.predictions(), view.record)
    except SecateurError as error:
        st.info(errors.sentence(error), icon=":material/hide_image:")
        return None


def _show(view: View, change: Change, images: Subset | None, labels: list[str] | None,
          _: Callable[[str], str]) -> None:
    def name(index: int | None) -> str:
        if index is None:
            return "–"
        return labels[index] if labels and index < len(labels) else str(index)

    with st.container(border=True, width=250):
        if images is not None:
            with errors.shown():
                st.image(picture(images, change.position), width="stretch",
                         alt=view.of_images(
                             validation=_("Validation image {number}"), test=_("Test image {number}"),
                         ).format(number=change.position + 1))
        lines = [] if change.target is None else [f"{_('Right class')}: **{plain(name(change.target))}**"]
        lines += [
            f"{_('Baseline')}: **{plain(name(change.before))}** "
            f"({plain(percent(change.confidence_before, view.language))})",
            f"{_('Compressed')}: **{plain(name(change.after))}** "
            f"({plain(percent(change.confidence_after, view.language))})",
        ]
        st.markdown("  \n".join(lines))
        st.caption(plain(change.image))
        if images is not None:
            _maps(view, change, images)


@st.fragment
def _maps(view: View, change: Change, images: Subset) -> None:
    with errors.shown():
        _ = i18n.translate()
        if not st.toggle(_("Where they looked"), key=f"run.look_{change.position}"):
            return
        library = services.library()
        name, _sep, form = view.run.request.model.partition(":")
        card = library.card(name)
        pixels = numpy.asarray(images.image(change.position))
        threads = services.settings().models.threads
        with st.spinner(_("Hiding one part of the photo after another")):
            maps = [
                (_("Baseline"), heat_map(library.artifact(name, form or card.forms[0]), card, pixels, change.before,
                                         threads)),
                (_("Compressed"), heat_map(view.file("model.tflite"), card, pixels, change.after, threads)),
            ]
        for column, (title, shown) in zip(st.columns(2), maps, strict=True):
            column.image(shown, caption=title, width="stretch", alt=_(
                "Heat map over the photo: light where hiding a part lowers the probability most"))
