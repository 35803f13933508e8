"""Where photos come from: files, the camera, or the samples."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from dataclasses import dataclass, field
from functools import cache

import streamlit as st
from PIL import Image, ImageOps

from core.images import EXTENSIONS, display_name, read_photo
from core.inference import samples
from core.locales import N_
from pages._ui import i18n, services

SAMPLE_SIDE, SAMPLE_GAP, SAMPLE_QUALITY = 128, 10, 80
_SOURCES = {"files": N_(":material/upload: Files"), "camera": N_(":material/photo_camera: Camera")}


@dataclass(frozen=True)
class Photo:
    """The bytes of one photo, in memory only, and the name to show for it."""

    name: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def choose_photos(page: str) -> list[Photo]:
    """Show the sources; return the photos, in the order given, at most ``photos_per_batch``."""
    _ = i18n.translate()
    limits = services.settings().limits
    source = st.segmented_control(
        _("Where is the photo?"), list(_SOURCES), default="files", required=True,
        format_func=lambda key: _(_SOURCES[key]), key=f"{page}.source",
        label_visibility="collapsed")
    if source == "camera":
        shot = st.camera_input(_("Take a photo"), key=f"{page}.camera")
        uploads = [shot] if shot else []
    else:
        uploads = st.file_uploader(
            _("Drop photos here, or browse"), type=[name[1:] for name in EXTENSIONS],
            accept_multiple_files=True, max_upload_size=math.ceil(limits.photo_mb),
            key=f"{page}.files")
    st.caption(_("Your photos are never stored: they stay in memory and are gone when you leave."),
               width="stretch")
    if len(uploads) > limits.photos_per_batch:
        st.warning(_("Only the first {most} photos are classified. Drop the others afterwards.").format(
            most=limits.photos_per_batch), icon=":material/warning:")
        uploads = uploads[:limits.photos_per_batch]
    if uploads:
        return [Photo(display_name(upload.name), upload.getvalue()) for upload in uploads]
    return _sample(page)


def _sample(page: str) -> list[Photo]:
    _ = i18n.translate()
    available = {sample.name: sample for sample in samples()}
    if not available:
        return []
    titles = [_(sample.title) for sample in available.values()]
    st.markdown(_("No photo at hand? Try one of these:"))
    st.image([_square(name) for name in available], caption=titles, width=SAMPLE_SIDE, alt=titles)
    chosen = st.pills(
        _("Sample photo"), list(available), format_func=lambda name: _(available[name].title),
        label_visibility="collapsed", key=f"{page}.sample")
    return [Photo(_(available[chosen].title), available[chosen].path.read_bytes())] if chosen else []


@cache
def _square(name: str) -> str:
    # As a data address: Streamlit would decode and register a picture in every run.
    sample = next(sample for sample in samples() if sample.name == name)
    image = read_photo(sample.path.read_bytes(), services.settings().limits)
    side = SAMPLE_SIDE - SAMPLE_GAP
    framed = Image.new("RGBA", (SAMPLE_SIDE, side))
    framed.paste(ImageOps.fit(image, (side, side)))
    buffer = io.BytesIO()
    framed.save(buffer, "WEBP", quality=SAMPLE_QUALITY, method=3)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
