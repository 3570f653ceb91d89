"""Schemas of datasets and of collections: what does not fit is refused, all of it or none.

Source: Apify's dataset schema, "Validation": draft-07 unless `$schema` says
otherwise, and a list of what is wrong with each item. Apify's "Key-value store schema
specification" has a jsonSchema for each collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, NoReturn

import msgspec

from storectl.errors import InvalidInput
from storectl.model.items import Items, mended, not_json, too_large
from storectl.model.rules import MAX_PAYLOAD_BYTES

MOST_ERRORS = 100
"""Items told in one answer, and errors of each: a push of a million is wrong by a hundred."""


def check_schema(schema: object, type: str = "dataset-schema-invalid") -> dict[str, Any]:
    """A schema that a dataset may be made with, or InvalidInput."""
    if not isinstance(schema, dict):
        raise InvalidInput("schema must be a JSON object", type=type)
    fields = schema.get("fields")
    if fields:
        _validator(msgspec.json.encode(fields))
    return schema


class Rule(NamedTuple):
    """What a collection of a key-value store wants of its JSON records. schema: as JSON."""

    collection: str
    schema: bytes

    def check_schema(self) -> None:
        """Refuse what is no JSON Schema."""
        _validator(self.schema, self._where, "store-schema-invalid")

    def check(self, key: str, blocks: Iterable[bytes], encoding: str | None) -> None:
        """Refuse a record that does not fit; over 9 MiB unpacked there is no telling."""
        from storectl.formats.encoding import decoded  # for such collections only

        plain = decoded(blocks, encoding, limit=MAX_PAYLOAD_BYTES, over=too_large)
        body = mended(b"".join(plain))
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            text = body.decode(errors="replace")
            raise not_json(error, text, f"Record '{key}'") from None
        validator = _validator(self.schema, self._where, "store-schema-invalid")
        if wrong := _errors(validator, found):
            raise InvalidInput(
                f"Record '{key}' does not fit the schema of collection '{self.collection}': "
                f"{wrong[0]['message'][:200]}",
                type="schema-validation-error",
                data={"validationErrors": wrong},
            )

    @property
    def _where(self) -> str:
        return f"jsonSchema of collection '{self.collection}'"


def check_items(schema: str | None, items: Items) -> None:
    """Refuse items that the `fields` of a stored schema do not allow."""
    fields = msgspec.json.decode(schema).get("fields") if schema else None
    if not fields:
        return
    validator = _validator(msgspec.json.encode(fields))
    wrong = []
    for at, item in enumerate(items.objects()):
        found = _errors(validator, item)
        if found:
            wrong.append({"itemPosition": at, "validationErrors": found})
            if len(wrong) == MOST_ERRORS:
                break
    if wrong:
        raise InvalidInput(
            "Schema validation failed", type="schema-validation-error", data={"invalidItems": wrong}
        )


def _errors(validator: Any, found: object) -> list[dict[str, Any]]:
    try:
        if validator.is_valid(found):
            return []
        return [
            {
                "instancePath": "".join(f"/{part}" for part in error.instance_path),
                "schemaPath": "#" + "".join(f"/{part}" for part in error.schema_path),
                "keyword": error.kind.name,
                "params": error.kind.as_dict(),
                "message": error.message,
            }
            for error in islice(validator.iter_errors(found), MOST_ERRORS)
        ]
    except ValueError:  # over 255 levels
        raise InvalidInput(
            "JSON is nested too deeply for its schema", type="schema-validation-error"
        ) from None


@lru_cache(maxsize=64)
def _validator(
    source: bytes, where: str = "schema.fields", type: str = "dataset-schema-invalid"
) -> Any:
    """The validator of a JSON Schema. Nothing is ever fetched for a $ref.

    where, type: for the failure of what is no schema.
    """
    import jsonschema_rs  # only for storages that have a schema

    schema = msgspec.json.decode(source)
    dialect = str(schema.get("$schema", "")) if isinstance(schema, dict) else ""
    newer = "2020-12" in dialect or "2019-09" in dialect
    make = jsonschema_rs.validator_for if newer else jsonschema_rs.Draft7Validator
    try:
        return make(schema, retriever=_no_fetching)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise InvalidInput(f"{where} is not a JSON Schema: {why}", type=type) from None


def _no_fetching(address: str) -> NoReturn:
    raise ValueError(f"{address} is outside of the schema")
