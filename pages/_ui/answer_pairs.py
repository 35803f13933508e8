"""The same photos by two models: a variant, or a compact form, beside the original that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.accounts import Principal
from core.errors import SecateurError
from core.inference import Answer
from core.zoo import ModelCard
from pages._ui import errors, i18n, services
from pages._ui.address import switch
from pages._ui.answer_view import show_answer
from pages._ui.answers import Answered
from pages._ui.numbers import decimal
from pages._ui.text import plain


def choose_original(principal: Principal, card: ModelCard, form: str) -> str | None:
    """Show the toggle where the model has an original; return that one as ``name:form`` when it is wanted."""
    _ = i18n.translate()
    base = services.shelf().cards_of(principal.user_id).get(card.base or "") if card.kind == "variant" else card
    if base is None or services.shelf().status(base.name) != "ready":
        return None
    original = f"{base.name}:{base.forms[0]}"
    if original == f"{card.name}:{form}":
        return None
    wanted = switch(_("Compare with the original"), "beside", "classify.beside",
                    help=_("Both models answer the same photos, side by side, with their times and sizes."))
    return original if wanted else None


def show_summary(pairs: Sequence[tuple[Answered, Answered]]) -> None:
    """Say on how many photos both agree, and how much faster and smaller the chosen model is."""
    _ = i18n.translate()
    both = [(one.outcome, two.outcome) for one, two in pairs
            if isinstance(one.outcome, Answer) and isinstance(two.outcome, Answer)]
    if not both:
        return
    same = sum(_best(before) == _best(after) for before, after in both)
    times = sorted(before.inference_ms / max(after.inference_ms, 1e-6) for before, after in both)
    before, after = both[0]
    st.markdown(plain(_("Same best class on {same} of {count} photos. {speed} times as fast here, {size} times "
                        "smaller.").format(
        same=same, count=len(both), speed=decimal(times[len(times) // 2], i18n.language()),
        size=decimal(before.model_bytes / max(after.model_bytes, 1), i18n.language()))))


def show_pair(before: Answered, after: Answered) -> None:
    """Show one photo with the answers of the original and of the chosen model in two columns."""
    _ = i18n.translate()
    name = after.photo.name
    with st.container(border=True):
        picture = next((a.outcome.picture for a in (after, before) if isinstance(a.outcome, Answer)), None)
        if picture is not None:
            st.image(picture, width=240, caption=plain(name), alt=_("The photo {name}").format(name=name))
        for column, title, answered in zip(st.columns(2, gap="medium"), (_("Original"), _("This model")),
                                           (before, after), strict=True):
            with column:
                st.caption(title)
                if isinstance(answered.outcome, SecateurError):
                    st.error(f"{plain(name)}: {errors.sentence(answered.outcome)}", icon=":material/broken_image:")
                else:
                    show_answer(answered.outcome)


def _best(answer: Answer) -> int:
    return answer.predictions[0].index
