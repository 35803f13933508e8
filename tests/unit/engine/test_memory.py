"""Memory that a step freed goes back to the system."""

from __future__ import annotations

import gc
import platform
import weakref

import numpy as np
import psutil
import pytest

from core.engine.memory import release


class Node:
    """Something that can refer to itself."""


def test_what_holds_itself_is_collected():
    node = Node()
    node.me = node
    seen = weakref.ref(node)
    gc.disable()
    try:
        del node
        release()
    finally:
        gc.enable()
    assert seen() is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns pages on request")
def test_freed_pages_are_returned():
    blocks = [np.ones(8000) for _ in range(4000)]  # 64 kB each: below what the C library maps on its own
    full = psutil.Process().memory_info().rss
    del blocks[:-1]  # the last one keeps the end of the heap in use
    release()
    assert psutil.Process().memory_info().rss < full - 150e6
