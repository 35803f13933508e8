"""Which pages there are: one line each, in the order of the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.locales import N_

FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Entry:
    """A page: its file, its path in the address, and who finds it in the navigation."""

    file: str
    path: str
    title: str
    icon: str
    group: str
    shown: str = "member"
    """``visitor``, ``member``, ``admin``, ``everyone`` or ``nobody`` (reached by a link only)."""
    wide: bool = False


STUDIO, ACCOUNT, ADMIN, START = N_("Studio"), N_("Account"), N_("Administration"), N_("Sécateur")

SITE = (
    Entry("public/welcome.py", "", N_("Welcome"), "eco", START, "visitor"),
    Entry("public/sign_in.py", "sign-in", N_("Sign in"), "login", START, "visitor"),
    Entry("public/sign_up.py", "sign-up", N_("Sign up"), "person_add", START, "visitor"),
    Entry("public/reset.py", "reset", N_("New password"), "lock_reset", START, "nobody"),
    Entry("studio/classify.py", "classify", N_("Classify"), "image_search", STUDIO, wide=True),
    Entry("studio/models.py", "models", N_("Models"), "account_tree", STUDIO, wide=True),
    Entry("studio/lab.py", "lab", N_("Lab"), "science", STUDIO, wide=True),
    Entry("studio/study.py", "study", N_("Search"), "manage_search", STUDIO, wide=True),
    Entry("studio/experiments.py", "experiments", N_("Experiments"), "compare", STUDIO, wide=True),
    Entry("studio/run.py", "run", N_("A run"), "timeline", STUDIO, "nobody", wide=True),
    Entry("studio/datasets.py", "datasets", N_("Datasets"), "photo_library", STUDIO, wide=True),
    Entry("account/account.py", "account", N_("My account"), "person", ACCOUNT),
    Entry("help/help.py", "help", N_("Help"), "help", ACCOUNT),
    Entry("admin/users.py", "users", N_("Users"), "group", ADMIN, "admin", wide=True),
)


def site() -> tuple[Entry, ...]:
    """Return the pages whose file exists."""
    return tuple(entry for entry in SITE if (FOLDER / entry.file).is_file())


PATHS = frozenset(entry.path for entry in SITE)
