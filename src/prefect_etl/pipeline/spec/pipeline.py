"""A pipeline as the user wrote it, checked: what to load from where, and what to make of it.

The same fields come from a YAML file (:func:`load_pipeline`) or from Python
(:func:`pipeline_from`). Each dataset is validated by the model of its own connector. All mistakes
are found before any is reported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.spec.claims import claim_mistakes, partition_mistakes
from prefect_etl.pipeline.spec.connection import Connection, Connections
from prefect_etl.pipeline.spec.document import Document, Mistake, Place, parse
from prefect_etl.pipeline.spec.environment import Expansion, hide
from prefect_etl.pipeline.spec.fields import PipelineFields, SourceFields
from prefect_etl.pipeline.spec.wording import mistakes


@dataclass(frozen=True, slots=True)
class SourcedDataset:
    """A dataset and where it comes from.

    Attributes:
        source: The source's name in the pipeline file.
        connection: How to reach it.
        spec: The dataset, as its connector's own model.
    """

    source: str
    connection: Connection
    spec: DatasetSpec


@dataclass(frozen=True, slots=True)
class SourcedTables:
    """Tables of a source that are named by patterns, and are found when the pipeline runs.

    Attributes:
        source: The source's name in the pipeline file.
        connection: How to reach it.
        patterns: Which tables.
        exclude: Which of them not.
        defaults: Fields that their datasets have.
    """

    source: str
    connection: Connection
    patterns: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole pipeline.

    Attributes:
        name: Its name, the owner of its tables.
        root: The folder that paths and modules are relative to.
        path: The file it was read from; None where it was made in Python.
        destination: Where the tables are.
        datasets: In the order of the file.
        tables: Datasets that are known only when the sources are asked.
        transformations: In the order of the file.
    """

    name: str
    root: Path
    path: Path | None
    destination: Connection
    datasets: tuple[SourcedDataset, ...] = ()
    transformations: tuple[TransformationSpec, ...] = ()
    tables: tuple[SourcedTables, ...] = ()


def load_pipeline(
    path: Path,
    connections: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> PipelineSpec:
    """Read a pipeline file.

    Args:
        path: The YAML file; paths in it are relative to its folder.
        connections: URIs that the file may use by name.
        environment: Values for ``${NAME}``; those of this process if None.

    Raises:
        ConfigError: The file is wrong; all mistakes are named, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        hint = "Give its path, or make a project with: prefect-etl init DIR"
        raise ConfigError(f"there is no pipeline file {path}", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pipeline file {path} cannot be read: {error}") from error
    document = parse(text, str(path))
    expansion = Expansion(os.environ if environment is None else environment)
    value = expansion.expand(document.value, ())
    builder = _Builder(document, value, expansion, path.resolve().parent, connections or {})
    return builder.build(path.resolve())


def pipeline_from(
    *,
    name: str,
    destination: str,
    sources: Mapping[str, Any] | None = None,
    transformations: Mapping[str, Any] | None = None,
    root: Path | None = None,
    connections: Mapping[str, str] | None = None,
) -> PipelineSpec:
    """Make a pipeline from Python values, with the fields of the file.

    Where the file has ``module:function``, a function may stand. ``${NAME}`` is not expanded.

    Args:
        name: The pipeline's name.
        destination: A URI, or a name in ``connections``.
        sources: Name: ``{"connection": …, "datasets": {name: {…}}}``.
        transformations: Name: ``{"sql": …}`` or ``{"python": …}``.
        root: The folder that paths are relative to; the current one if None.
        connections: URIs that may be used by name.

    Raises:
        ConfigError: Something is wrong; all mistakes are named.
    """
    value: dict[str, Any] = {
        "name": name,
        "destination": destination,
        "sources": sources,
        "transformations": transformations,
    }
    document = Document("Pipeline", value)
    folder = (root or Path()).resolve()
    return _Builder(document, value, Expansion({}), folder, connections or {}).build(None)


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the pipeline file, with all installed connectors."""
    from prefect_etl.pipeline.spec.json_schema import build_schema

    return build_schema()


_Model = TypeVar("_Model", bound=BaseModel)


class _Builder:
    """Collects mistakes while it builds."""

    def __init__(
        self,
        document: Document,
        value: Any,
        expansion: Expansion,
        root: Path,
        connections: Mapping[str, str],
    ) -> None:
        self.document = document
        self.value = value
        self.expansion = expansion
        self.root = root
        self.connections = Connections(root, connections, expansion)
        self.tables: list[SourcedTables] = []
        self.mistakes = [*document.mistakes, *expansion.mistakes]

    def build(self, path: Path | None) -> PipelineSpec:
        fields = self._fields(PipelineFields, self.value, ())
        destination = self._destination()
        datasets = tuple(self._datasets())
        transformations = tuple(self._transformations())
        if destination is not None:
            parts: list[tuple[Place, DatasetSpec | TransformationSpec]] = [
                (("sources", d.source, "datasets", d.spec.name), d.spec) for d in datasets
            ]
            parts += [(("transformations", t.name), t) for t in transformations]
            self.mistakes += claim_mistakes(parts, destination.config.default_schema)
            self.mistakes += partition_mistakes(parts, destination.connector)
        if self.mistakes or fields is None or destination is None:
            raise self.document.error(self.mistakes)
        return PipelineSpec(
            fields.name,
            self.root,
            path,
            destination,
            datasets,
            transformations,
            tuple(self.tables),
        )

    def _fields(self, model: type[_Model], value: Any, place: Place) -> _Model | None:
        """Validate a mapping of the file; what is wrong is noted."""
        try:
            return model.model_validate({} if value is None else value)
        except ValidationError as error:
            found = mistakes(error, model, self._written(place), place)
        unset = {mistake.place for mistake in self.expansion.mistakes}
        for mistake in found:
            if mistake.place in unset:
                continue  # it is wrong only because a variable is missing
            taken = self.expansion.taken(mistake.place)
            text = hide(mistake.text, taken, "is not valid")
            self.mistakes.append(Mistake(mistake.place, text))
        return None

    def _written(self, place: Place) -> Any:
        value = self.document.value
        for step in place:
            value = value[step]
        return {} if value is None else value

    def _part(self, *place: str) -> Any:
        """What stands at a place; None where the way to it is no mapping."""
        value = self.value
        for step in place:
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def _named(self, *place: str) -> Mapping[str, Any]:
        """The mapping at a place, without names that cannot be."""
        value = self._part(*place)
        if not isinstance(value, Mapping):
            return {}
        named = {}
        for name, part in value.items():
            if isinstance(name, str) and name and "\0" not in name:
                named[name] = part
            else:
                self.mistakes.append(Mistake((*place, str(name)), "a name must be text"))
        return named

    def _destination(self) -> Connection | None:
        text = self._part("destination")
        if not isinstance(text, str) or not text:
            return None
        found = self.connections.resolve(text, ("destination",), self.mistakes)
        if found is not None and found.connector.destination is None:
            problem = f"{found.connector.name} cannot be a destination"
            self.mistakes.append(Mistake(("destination",), problem))
        return found

    def _datasets(self) -> list[SourcedDataset]:
        datasets: list[SourcedDataset] = []
        for source, value in self._named("sources").items():
            place = ("sources", source)
            fields = self._fields(SourceFields, value, place)
            text = value.get("connection") if isinstance(value, Mapping) else None
            if not isinstance(text, str) or not text:
                continue
            connection = self._source(text, (*place, "connection"))
            connector = self.connections.connector(text)
            model = connector.dataset if connector else None
            if model is None:
                continue
            if fields is not None and fields.tables and connection is not None:
                self._pattern(source, connection, fields)
            for name, entry in self._named(*place, "datasets").items():
                spec = self._entry(model, name, entry, (*place, "datasets", name))
                if spec is not None and connection is not None:
                    spec = self._with_model(spec, (*place, "datasets", name))
                    datasets.append(SourcedDataset(source, connection, spec))
        return datasets

    def _with_model(self, spec: DatasetSpec, place: Place) -> DatasetSpec:
        """A dataset whose contract has the rules of the pandera model that it names."""
        if spec.contract is None or spec.contract.pandera is None:
            return spec
        from prefect_etl.pipeline.pandera_models import with_model

        try:
            contract = with_model(spec.contract, self.root)
        except ConfigError as error:
            told = f"{error.message}. {error.hint}" if error.hint else error.message
            self.mistakes.append(Mistake((*place, "contract", "pandera"), told))
            return spec
        return spec.model_copy(update={"contract": contract})

    def _pattern(self, source: str, connection: Connection, fields: SourceFields) -> None:
        if connection.connector.discover is None:
            problem = f"{connection.connector.name} cannot list its tables; name each as a dataset"
            self.mistakes.append(Mistake(("sources", source, "tables"), problem))
            return
        self.tables.append(
            SourcedTables(source, connection, fields.tables, fields.exclude, fields.defaults)
        )

    def _source(self, text: str, place: Place) -> Connection | None:
        found = self.connections.resolve(text, place, self.mistakes)
        if found is not None and (
            found.connector.source is None or found.connector.dataset is None
        ):
            self.mistakes.append(Mistake(place, f"{found.connector.name} cannot be a source"))
        return found

    def _transformations(self) -> list[TransformationSpec]:
        found: list[TransformationSpec] = []
        for name, fields in self._named("transformations").items():
            place = ("transformations", name)
            spec = self._entry(TransformationSpec, name, fields, place)
            if spec is None:
                continue
            found.append(spec)
            problem = self._missing_file(spec.sql)
            if problem:
                self.mistakes.append(Mistake((*place, "sql"), problem))
        return found

    def _entry(self, model: type[_Model], name: str, fields: Any, place: Place) -> _Model | None:
        """Validate what stands under a name, which is one of the model's fields."""
        if not isinstance(fields, Mapping):
            return self._fields(model, {"name": name} if fields is None else fields, place)
        if "name" in fields:
            text = "the name is given by the key above; remove this one"
            self.mistakes.append(Mistake((*place, "name"), text))
        return self._fields(model, {**fields, "name": name}, place)

    def _missing_file(self, sql: str | None) -> str | None:
        """What is wrong with the path of a SQL file; None where it is fine or SQL itself."""
        if sql is None or not sql.endswith(".sql") or "\n" in sql:
            return None
        path = (self.root / sql).resolve()
        if not path.is_relative_to(self.root):
            return f"{sql} is outside the folder of the pipeline, {self.root}"
        return None if path.is_file() else f"there is no file {path}"
