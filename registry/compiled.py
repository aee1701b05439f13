"""Statements of the hottest paths whose SQL is written once: writing it costs Django more than the database needs to answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.query import get_related_populators

Model = TypeVar("Model", bound=models.Model)
_PLACEHOLDER = "the one parameter"


class _Compiled(NamedTuple):
    """The SQL, and what Django needs to make instances of its rows."""

    sql: str
    compiler: Any
    names: list[str]
    last: int
    populators: list[Any]
    converters: Any


class CompiledQuery(Generic[Model]):
    """A query with one text parameter. `build` returns its queryset; rows come with what `select_related` and `only` name."""

    def __init__(self, build: Callable[[str], models.QuerySet[Model]]) -> None:
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, value: str) -> list[Model]:
        """Return the rows for `value`. One query."""
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            compiled = self._compiled[connection.vendor] = self._compile()
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, [value])
            found = cursor.fetchall()
        return [_instance(compiled, row) for row in compiled.compiler.apply_converters(found, compiled.converters)]

    def _compile(self) -> _Compiled:
        """Do what Django's own iteration does for each query: write the SQL and find which column goes where."""
        queryset = self._build(_PLACEHOLDER)
        compiler = queryset.query.get_compiler(queryset.db)
        sql, parameters = compiler.as_sql()
        if tuple(parameters) != (_PLACEHOLDER,):
            raise ValueError("a compiled query has exactly one parameter")
        last = compiler.klass_info["select_fields"][-1] + 1
        names = [column[0].target.attname for column in compiler.select[:last]]
        # The stubs are of Django 6.1, which also wants a fetch mode.
        populators = get_related_populators(compiler.klass_info, compiler.select, queryset.db)  # type: ignore[call-arg]
        converters = compiler.get_converters([column[0] for column in compiler.select])
        return _Compiled(sql, compiler, names, last, populators, converters)


def _instance(compiled: _Compiled, row: Any) -> Any:
    instance = compiled.compiler.klass_info["model"].from_db(compiled.compiler.using, compiled.names, row[: compiled.last])
    for populator in compiled.populators:
        populator.populate(row, instance)
    return instance


class CompiledInsert(Generic[Model]):
    """Inserts rows of one model, whose primary key the database chooses. No signals are sent: nothing here listens to rows."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._sql = ""

    def insert(self, row: Model) -> None:
        """Write a new row; it has its primary key then. One statement."""
        fields = [field for field in self._model._meta.local_concrete_fields if not field.primary_key]
        if not self._sql:
            quote = connection.ops.quote_name
            columns = ", ".join(quote(str(field.column)) for field in fields)
            places = ", ".join("%s" for _ in fields)
            self._sql = f"INSERT INTO {quote(self._model._meta.db_table)} ({columns}) VALUES ({places}) RETURNING id"  # noqa: S608
        database = connections[DEFAULT_DB_ALIAS]  # looked up once: behind `connection` every column would look it up
        values = [field.get_db_prep_save(field.pre_save(row, add=True), connection=database) for field in fields]
        with database.cursor() as cursor:
            cursor.execute(self._sql, values)
            (row.pk,) = cursor.fetchone()
        row._state.adding, row._state.db = False, database.alias
