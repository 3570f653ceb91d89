"""Schemas of datasets: items that do not fit are refused, all of a push or none.

Source: Apify's dataset schema, "Validation": draft-07 unless `$schema` says
otherwise, and a list of what is wrong with each item.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from storectl.errors import InvalidInput
from storectl.model.items import Item, Items

MOST_ERRORS = 100
"""Items told in one answer: a wrong push of a million is wrong by its first hundred."""


def check_schema(schema: object, type: str = "dataset-schema-invalid") -> dict[str, Any]:
    """A schema that a dataset may be made with, or InvalidInput."""
    if not isinstance(schema, dict):
        raise InvalidInput("schema must be a JSON object", type=type)
    fields = schema.get("fields")
    if fields:
        _validator(msgspec.json.encode(fields))
    return schema


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


def _errors(validator: Any, item: Item) -> list[dict[str, Any]]:
    if validator.is_valid(item):
        return []
    return [
        {
            "instancePath": "".join(f"/{part}" for part in error.instance_path),
            "schemaPath": "#" + "".join(f"/{part}" for part in error.schema_path),
            "keyword": error.kind.name,
            "params": error.kind.as_dict(),
            "message": error.message,
        }
        for error in validator.iter_errors(item)
    ]


@lru_cache(maxsize=64)
def _validator(fields: bytes) -> Any:
    """The validator of a JSON Schema. Nothing is ever fetched for a $ref."""
    import jsonschema_rs  # only for datasets that have a schema

    schema = msgspec.json.decode(fields)
    dialect = str(schema.get("$schema", "")) if isinstance(schema, dict) else ""
    newer = "2020-12" in dialect or "2019-09" in dialect
    make = jsonschema_rs.validator_for if newer else jsonschema_rs.Draft7Validator
    try:
        return make(schema, retriever=_no_fetching)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise InvalidInput(
            f"schema.fields is not a JSON Schema: {why}", type="dataset-schema-invalid"
        ) from None


def _no_fetching(address: str) -> NoReturn:
    raise ValueError(f"{address} is outside of the schema")
