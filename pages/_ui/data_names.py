"""What sets of images are called on pages: an upload by its file, the others as they are named in a run."""

from __future__ import annotations

from collections.abc import Iterable

from core.accounts import Principal
from core.experiments.uploads import PREFIX
from pages._ui import i18n, services


def data_names(principal: Principal | None, specs: Iterable[str]) -> dict[str, str]:
    """Return what to call each set; somebody else's upload, or one that is gone, is only called uploaded images."""
    wanted = set(specs)
    names = {spec: spec for spec in wanted}
    uploaded = {spec for spec in wanted if spec.startswith(PREFIX)}
    if uploaded:
        own = {} if principal is None else {each.spec: each.name for each in services.uploads().uploads(principal)}
        _ = i18n.translate()
        names |= {spec: own.get(spec, _("uploaded images")) for spec in uploaded}
    return names
