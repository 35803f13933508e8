"""Find runs among thousands: search, filter and sort by columns, and keep names, tags, notes and the archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Engine, func, or_, select, update

from core.accounts import Accounts, Principal
from core.database import now, reading, transaction
from core.errors import InputError, NotFoundError
from core.experiments.tables import RunRow, joined
from core.locales import N_

Order = Literal["newest", "oldest", "name", "smallest", "size_ratio", "latency_ratio", "top1", "top1_change"]
ORDERS: tuple[Order, ...] = get_args(Order)
MOST_TAGS, TAG_CHARACTERS, NAME_CHARACTERS, NOTE_CHARACTERS = 10, 30, 120, 4000
_ESCAPE = "\\"


class Filters(BaseModel):
    """What the runs of a page have in common. ``words`` must all occur in the name, notes or tags.

    ``most_points_lost`` (accuracy, 2 is two points), ``least_smaller`` and ``least_faster`` (ratios) only let
    finished runs pass that were measured so.
    """

    model_config = ConfigDict(frozen=True)

    words: str = ""
    model: str | None = None
    data: str | None = None
    method: str | None = None
    status: str | None = None
    tag: str | None = None
    archived: bool = False
    most_points_lost: float | None = None
    least_smaller: float | None = None
    least_faster: float | None = None


class Summary(BaseModel):
    """A run in a list, without its record."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    model: str
    data: str
    status: str
    fraction: float
    methods: tuple[str, ...]
    tags: tuple[str, ...]
    notes: str
    archived: bool
    created_at: datetime
    bytes: int | None
    top1: float | None
    top1_change: float | None
    size_ratio: float | None
    latency_ratio: float | None


class Choices(BaseModel):
    """The values that filters can take for one person."""

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...]
    data: tuple[str, ...]
    methods: tuple[str, ...]
    tags: tuple[str, ...]


class Listing:
    """One's runs in pages, by columns of the database only; every method asks whether the session lives."""

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine, self._accounts = engine, accounts

    def page(
        self, principal: Principal, filters: Filters, order: Order = "newest", *, limit: int = 25, offset: int = 0
    ) -> tuple[list[Summary], int]:
        """Return the runs from ``offset`` on that pass the filters, and how many pass in all."""
        principal = self._accounts.require(principal)
        where = _conditions(principal.user_id, filters)
        chosen = select(RunRow.id).where(*where).order_by(*_ordering(order)).limit(limit).offset(max(offset, 0))
        with reading(self._engine) as session:
            total = int(session.scalar(select(func.count()).select_from(RunRow).where(*where)) or 0)
            # Ids first, from an index alone; then only the rows of this page are read.
            ids = list(session.scalars(chosen))
            rows = {row.id: _summary(row._mapping)
                    for row in session.execute(select(*_COLUMNS).where(RunRow.id.in_(ids)))}
        return [rows[run_id] for run_id in ids if run_id in rows], total

    def choices(self, principal: Principal) -> Choices:
        """Return which models, data, methods and tags occur among one's runs, in alphabetical order."""
        principal = self._accounts.require(principal)

        columns = (RunRow.model, RunRow.data, RunRow.methods, RunRow.tags)
        query = select(*columns).where(RunRow.owner_id == principal.user_id).distinct()
        with reading(self._engine) as session:
            found = session.execute(query).all()
        models, data, methods, tags = ({row[i] for row in found} for i in range(4))
        return Choices(
            models=tuple(sorted(models)), data=tuple(sorted(data)), methods=_parts(methods), tags=_parts(tags)
        )

    def notes(self, principal: Principal, run_id: str) -> Summary:
        """Return one run's summary, with its tags and notes. Raises NotFoundError."""
        principal = self._accounts.require(principal)
        query = select(*_COLUMNS).where(RunRow.owner_id == principal.user_id, RunRow.id == run_id)
        with reading(self._engine) as session:
            row = session.execute(query).first()
        if row is None:
            raise _missing(run_id)
        return _summary(row._mapping)

    def edit(
        self, principal: Principal, run_id: str, *, name: str | None = None, tags: Sequence[str] | None = None,
        notes: str | None = None,
    ) -> None:
        """Change what a person wrote about a run.

        Raises
        ------
        InputError
            If the name is empty or something is too long.
        NotFoundError
            If the run is not one's own, or was deleted meanwhile.
        """
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = " ".join(name.split())
            if not 0 < len(values["name"]) <= NAME_CHARACTERS:
                raise InputError(N_("Give the run a name of 1 to {most} characters."), most=NAME_CHARACTERS)
        if notes is not None:
            values["notes"] = notes.strip()
            if len(values["notes"]) > NOTE_CHARACTERS:
                raise InputError(N_("Notes may have at most {most} characters."), most=NOTE_CHARACTERS)
        if tags is not None:
            values["tags"] = joined(_checked(tags))
        self._change(principal, [run_id], values)

    def archive(self, principal: Principal, run_ids: Sequence[str], *, archived: bool = True) -> None:
        """Put runs out of sight, or back. Raises NotFoundError if none of them is one's own."""
        self._change(principal, run_ids, {"archived_at": now() if archived else None})

    def _change(self, principal: Principal, run_ids: Sequence[str], values: dict[str, Any]) -> None:
        principal = self._accounts.require(principal)
        if not run_ids or not values:
            return
        with transaction(self._engine) as session:
            changed = session.execute(
                update(RunRow).where(RunRow.owner_id == principal.user_id, RunRow.id.in_(list(run_ids)))
                .values(values)
            )
            if changed.rowcount == 0:  # type: ignore[attr-defined]
                raise _missing(run_ids[0])


_COLUMNS = (
    RunRow.id, RunRow.name, RunRow.model, RunRow.data, RunRow.status, RunRow.fraction, RunRow.methods, RunRow.tags,
    RunRow.notes, RunRow.archived_at, RunRow.created_at, RunRow.bytes, RunRow.top1, RunRow.top1_change,
    RunRow.size_ratio, RunRow.latency_ratio,
)


def _summary(row: Any) -> Summary:
    values = dict(row)
    values["archived"] = values.pop("archived_at") is not None
    for name in ("methods", "tags"):
        values[name] = tuple(word for word in values[name].split("|") if word)
    return Summary(**values)


def _conditions(owner_id: str, filters: Filters) -> list[ColumnElement[bool]]:
    found = [
        RunRow.owner_id == owner_id,
        RunRow.archived_at.is_not(None) if filters.archived else RunRow.archived_at.is_(None),
    ]
    for column, value in (
        (RunRow.model, filters.model), (RunRow.data, filters.data), (RunRow.status, filters.status)
    ):
        if value:
            found.append(column == value)
    for column, value in ((RunRow.methods, filters.method), (RunRow.tags, filters.tag)):
        if value:
            found.append(column.contains(f"|{value}|", autoescape=True))
    for word in filters.words.split()[:8]:
        like = "%" + word.replace(_ESCAPE, _ESCAPE * 2).replace("%", r"\%").replace("_", r"\_") + "%"
        found.append(or_(*(
            column.ilike(like, escape=_ESCAPE) for column in (RunRow.name, RunRow.notes, RunRow.tags, RunRow.id)
        )))
    if filters.most_points_lost is not None:
        found.append(RunRow.top1_change >= -filters.most_points_lost / 100)
    if filters.least_smaller is not None:
        found.append(RunRow.size_ratio >= filters.least_smaller)
    if filters.least_faster is not None:
        found.append(RunRow.latency_ratio >= filters.least_faster)
    return found


def _ordering(order: Order) -> tuple[Any, ...]:
    by: dict[str, Any] = {
        "newest": RunRow.created_at.desc(), "oldest": RunRow.created_at, "name": func.lower(RunRow.name),
        "smallest": RunRow.bytes.asc().nulls_last(), "size_ratio": RunRow.size_ratio.desc().nulls_last(),
        "latency_ratio": RunRow.latency_ratio.desc().nulls_last(), "top1": RunRow.top1.desc().nulls_last(),
        "top1_change": RunRow.top1_change.desc().nulls_last(),
    }
    return by.get(order, by["newest"]), RunRow.created_at.desc(), RunRow.id


def _checked(tags: Sequence[str]) -> list[str]:
    words = list(dict.fromkeys(" ".join(tag.replace("|", " ").split()) for tag in tags))
    words = [word for word in words if word]
    if len(words) > MOST_TAGS or any(len(word) > TAG_CHARACTERS for word in words):
        raise InputError(
            N_("A run may have {most} tags of at most {long} characters."), most=MOST_TAGS, long=TAG_CHARACTERS
        )
    return words


def _parts(values: set[str]) -> tuple[str, ...]:
    return tuple(sorted({part for value in values for part in value.split("|") if part}))


def _missing(run_id: str) -> NotFoundError:
    return NotFoundError(N_("There is no run '{run}'. List yours to see their ids."), run=run_id[:36])
