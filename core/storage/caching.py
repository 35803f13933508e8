"""Where local copies of remote files lie when nobody says where."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path


@cache
def default_cache() -> Path:
    """Return a folder below the temporary one that belongs to this user alone.

    Its name can be foreseen, so on a machine with several users someone else may have put it there;
    then a new folder of this process is used.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"secateur-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="secateur-"))
