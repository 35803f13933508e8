"""What an installation can set: ``config.yaml`` beside ``app.py``, overridden by the environment."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import InputError
from core.locales import N_

ROOT = Path(__file__).resolve().parent.parent


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cookie(_Section):
    """The cookie that keeps a person signed in."""

    name: str = Field("secateur", pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    days: float = Field(30, gt=0, le=400)
    secure: Literal["auto", "always", "never"] = "auto"


class SignUp(_Section):
    """Who may open an account."""

    policy: Literal["open", "invitation", "closed"] = "open"
    first_is_admin: bool = False
    admins: tuple[str, ...] = ()


class Limits(_Section):
    """The largest input that is read at all."""

    photo_mb: float = Field(10, gt=0)
    photo_megapixels: float = Field(40, gt=0)
    photos_per_batch: int = Field(200, ge=1)
    dataset_mb: float = Field(200, gt=0)
    dataset_images: int = Field(20000, ge=1)


class Quotas(_Section):
    """What one account may hold or run at a time."""

    stored_mb: float = Field(2000, gt=0)
    queued_runs: int = Field(20, ge=1)
    running_runs: int = Field(2, ge=1)


class Models(_Section):
    """How models are served."""

    default: str = "efficientnet-lite0"
    threads: int = Field(1, ge=1, le=64)
    unsure_below: float = Field(0.5, ge=0, le=1)


class Jobs(_Section):
    """The local cluster of worker processes."""

    workers: int = Field(1, ge=1)
    threads_per_worker: int = Field(2, ge=1)
    memory_mb: int = Field(6000, ge=500)
    example: bool = True


class Settings(BaseSettings):
    """Everything an installation can set; each field is also ``SECATEUR_<FIELD>`` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="SECATEUR_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = ROOT / "var"
    models_folder: Path = ROOT / "models"
    database_url: str = ""
    storage_url: str = ""
    scheduler: str = ""
    mirror: str = ""
    mlflow: str = ""
    cookie_key: str = ""
    language: Literal["en", "fr"] = "en"
    cookie: Cookie = Cookie()
    sign_up: SignUp = SignUp()
    limits: Limits = Limits()
    quotas: Quotas = Quotas()
    models: Models = Models()
    jobs: Jobs = Jobs()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook of pydantic-settings names them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which arrives as init arguments."""
        return env_settings, init_settings


def read_settings(path: Path = ROOT / "config.yaml") -> Settings:
    """Read ``path`` and the environment.

    ``DATABASE_URL`` is honoured as most hosts spell it (``postgres://`` included); without it the database is
    an SQLite file in ``home``, and without ``SECATEUR_STORAGE_URL`` artifacts are files in ``home``.

    Raises
    ------
    InputError
        If the file is not YAML, or a value is unknown or out of bounds; the message names the field.
    """
    try:
        values: dict[str, Any] = yaml.safe_load(path.read_text("utf-8")) or {}
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(
            N_("{file}: the value of '{field}' cannot be used: {reason}."),
            file=path.name, field=field, reason=first["msg"],
        ) from error
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise InputError(N_("{file} is not readable YAML. Compare it with the one in the repository."),
                         file=path.name) from error
    home = settings.home.expanduser().resolve()
    url = settings.database_url or os.environ.get("DATABASE_URL", "")
    if url.startswith(("postgres://", "postgresql://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    return settings.model_copy(update={
        "home": home,
        "database_url": url or f"sqlite:///{home / 'secateur.db'}",
        "storage_url": settings.storage_url or (home / "artifacts").as_uri(),
    })


@cache
def settings() -> Settings:
    """Return this process's settings, read once."""
    return read_settings()
