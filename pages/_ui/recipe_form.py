"""The recipe builder: presets, steps added, ordered and removed, their fields, and the recipe as YAML."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.errors import InputError, SecateurError
from core.locales import spaced
from core.recipes import ModelFacts, Recipe, describe, in_words, load_recipe, parse_recipe, preset_words, presets
from pages._ui import errors, i18n, recipe_state
from pages._ui.numbers import percent
from pages._ui.state import state
from pages._ui.step_fields import field_widget, is_fraction, shown
from pages._ui.text import plain


def recipe_form(facts: ModelFacts | None) -> Recipe | None:
    """Show the form; return the recipe if it can work, else None after saying why."""
    _ = i18n.translate()
    kinds = {each["kind"]: each for each in describe(_)}
    current = recipe_state.steps()
    for place, step in enumerate(current):
        _step(step, kinds[step["step"]], place, len(current))
    if not current:
        st.info(_("The recipe has no step yet. Add one, or start from a preset."), icon=":material/playlist_add:")
    with st.container(horizontal=True):
        _add(kinds)
        _presets()
        _yaml()
    return _checked(facts, kinds) if current else None


def _step(step: dict[str, Any], kind: dict[str, Any], place: int, count: int) -> None:
    _ = i18n.translate()
    uid = step["uid"]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{place + 1}. {plain(kind['title'])}**", help=kind["help"], width="stretch")
            for name, icon, by, off, label in (
                ("up", "arrow_upward", -1, place == 0, _("Earlier")),
                ("down", "arrow_downward", 1, place == count - 1, _("Later")),
            ):
                st.button(f":material/{icon}:", key=f"lab.{uid}.{name}", help=label, type="tertiary", disabled=off,
                          on_click=recipe_state.move, args=(uid, by))
            st.button(":material/close:", key=f"lab.{uid}.remove", help=_("Remove"), type="tertiary",
                      on_click=recipe_state.remove, args=(uid,))
        main = [field for field in kind["fields"] if not field["advanced"]]
        folded = [field for field in kind["fields"] if field["advanced"]]
        values: dict[str, Any] = {}
        wide = [f for f in main if f["name"] == "sparsity"]
        narrow = [f for f in main if f["name"] != "sparsity"]
        for field in wide:
            values[field["name"]] = _field(field, step)
        visible = [f for f in narrow if shown(f, {**step, **values})]
        columns = st.columns(min(2, len(visible))) if visible else []
        for number, field in enumerate(visible):
            with columns[number % 2]:
                values[field["name"]] = _field(field, step)
        folded = [f for f in folded if shown(f, {**step, **values})]
        if folded:
            with st.expander(_("More settings")):
                for field in folded:
                    values[field["name"]] = _field(field, step)
        recipe_state.change(uid, **values)


def _field(field: dict[str, Any], step: dict[str, Any]) -> Any:
    return field_widget(field, step.get(field["name"], field["default"]), f"lab.{step['uid']}.{field['name']}")


def _add(kinds: dict[str, dict[str, Any]]) -> None:
    _ = i18n.translate()
    with st.popover(_("Add a step"), icon=":material/add:"):
        for name, kind in kinds.items():
            st.button(kind["title"], key=f"lab.add_{name}", help=kind["help"], width="stretch",
                      on_click=recipe_state.add, args=(name,))


def _presets() -> None:
    _ = i18n.translate()
    with st.popover(_("Presets"), icon=":material/menu_book:"):
        for name, recipe in presets().items():
            title, words = preset_words(name)
            st.button(_(title), key=f"lab.preset_{name}", help=_(words), width="stretch",
                      on_click=recipe_state.take, args=(recipe.model_dump(mode="json")["steps"], _(title)))


def _yaml() -> None:
    _ = i18n.translate()

    def use(key: str) -> None:
        with errors.shown():
            recipe_state.of(load_recipe(parse_recipe(st.session_state[key])))

    with st.popover(_("As YAML"), icon=":material/data_object:"):
        text = _as_yaml()
        key = f"lab.yaml.{hash(text)}"
        st.text_area(_("The recipe file"), text, height=320, key=key, max_chars=64_000)
        st.button(_("Use this text"), key="lab.use_yaml", type="primary", on_click=use, args=(key,))


def _as_yaml() -> str:
    import yaml

    content = {k: v for k, v in recipe_state.content().items() if v}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _short_name(recipe: Recipe, kinds: dict[str, dict[str, Any]]) -> str:
    parts = []
    for step in recipe.steps:
        told = [kinds[step.kind]["title"]]
        for field in kinds[step.kind]["fields"]:
            if field["name"] in step.main:
                value = getattr(step, field["name"])
                titles = {choice["value"]: choice["title"] for choice in field["choices"]}
                told.append(percent(value, i18n.language()) if is_fraction(field) else str(titles.get(value, value)))
        parts.append(" ".join(told))
    return " → ".join(parts)[:120]


def _checked(facts: ModelFacts | None, kinds: dict[str, dict[str, Any]]) -> Recipe | None:
    _ = i18n.translate()
    try:
        recipe = load_recipe(recipe_state.content(), facts)
    except SecateurError as error:
        errors.show(error)
        nearest = error.parameters.get("nearest_steps") if isinstance(error, InputError) else None
        if nearest:
            st.button(_("Take the nearest recipe that works"), key="lab.nearest", icon=":material/build:",
                      on_click=recipe_state.take, args=(nearest,))
        return None
    if not state.recipe_name:
        recipe = recipe.model_copy(update={"name": _short_name(recipe, kinds)})
    words = spaced(in_words(recipe, _), i18n.language())
    st.caption(plain(f"{words[:1].upper()}{words[1:]}."))
    return recipe
