"""Items into items: clean, skip, fields, omit, unwind, flatten. Pure.

Source: Apify API v2, "Get items"; where it only gives examples, the order of
work is that of ItemsQuery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from storectl.errors import InvalidInput
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Item

Step = Callable[[Iterable[Item]], Iterable[Item]]


def shaper(query: ItemsQuery, schema: dict[str, Any] | None = None) -> Step:
    """The work which a query asks for, as one function from items to items.

    schema: of the dataset, where its views are. Raises InvalidInput if the
    query contradicts itself or names a view that does not exist.
    """
    query = _with_view(query, schema)
    if query.output_fields and len(query.output_fields) != len(query.fields):
        raise InvalidInput(
            f"outputFields has {len(query.output_fields)} names for {len(query.fields)} fields",
            type="invalid-parameter",
        )
    steps: list[Step] = []
    if query.simplified:
        steps.append(lambda items: (_pick(item, _SIMPLE) for item in items))
    if query.skip_failed_pages:
        steps.append(lambda items: (item for item in items if not item.get("errorInfo")))
    unwind = query.unwind + (("pageFunctionResult",) if query.simplified else ())
    for field in unwind:
        steps.append(lambda items, field=field: _unwind(items, field))  # type: ignore[misc]
    for field in query.flatten:
        steps.append(lambda items, field=field: (_flatten(item, field) for item in items))  # type: ignore[misc]
    if query.fields:
        steps.append(lambda items: (_pick(item, query.fields) for item in items))
    if query.omit:
        steps.append(lambda items: (_omit(item, query.omit) for item in items))
    if query.output_fields:
        names = dict(zip(query.fields, query.output_fields, strict=True))
        steps.append(lambda items: ({names.get(k, k): v for k, v in i.items()} for i in items))
    if query.clean or query.skip_hidden:
        steps.append(lambda items: (_visible(item) for item in items))
    if query.clean or query.skip_empty:
        steps.append(lambda items: (item for item in items if item))

    def run(items: Iterable[Item]) -> Iterable[Item]:
        for step in steps:
            items = step(items)
        return items

    return run


_SIMPLE = ("url", "pageFunctionResult", "errorInfo")


def _with_view(query: ItemsQuery, schema: dict[str, Any] | None) -> ItemsQuery:
    if query.view is None:
        return query
    view = ((schema or {}).get("views") or {}).get(query.view)
    if not isinstance(view, dict):
        raise InvalidInput(
            f"Dataset has no view {query.view!r}", type="requested-dataset-view-does-not-exist"
        )
    work = view.get("transformation") or {}

    def asked(name: str, mine: tuple[str, ...]) -> tuple[str, ...]:
        return mine or tuple(work.get(name) or ())

    from msgspec.structs import replace  # only views need it

    return replace(
        query,
        fields=asked("fields", query.fields),
        omit=asked("omit", query.omit),
        unwind=asked("unwind", query.unwind),
        flatten=asked("flatten", query.flatten),
    )


def _pick(item: Item, fields: tuple[str, ...]) -> Item:
    found = {}
    for field in fields:
        value = _get(item, field)
        if value is not _MISSING:
            found[field] = value
    return found


_MISSING = object()


def _get(item: Item, field: str) -> Any:
    if field in item:
        return item[field]
    value: Any = item
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _omit(item: Item, fields: tuple[str, ...]) -> Item:
    left = {key: value for key, value in item.items() if key not in fields}
    for field in fields:
        head, dot, rest = field.partition(".")
        if dot and isinstance(left.get(head), dict):
            left[head] = _omit(left[head], (rest,))
    return left


def _unwind(items: Iterable[Item], field: str) -> Iterator[Item]:
    for item in items:
        value = item.get(field)
        if isinstance(value, dict):
            yield _merge(item, field, value)
        elif isinstance(value, list) and value:
            for element in value:
                yield _merge(item, field, element)
        else:
            yield item


def _merge(item: Item, field: str, element: Any) -> Item:
    if not isinstance(element, dict):
        return {**item, field: element}
    rest = {key: value for key, value in item.items() if key != field}
    return {**rest, **element}


def _flatten(item: Item, field: str) -> Item:
    value = item.get(field)
    if not isinstance(value, dict | list) or not value:
        return item
    flat: Item = {}
    for key, kept in item.items():
        if key == field:
            _leaves(field, value, flat)
        else:
            flat[key] = kept
    return flat


def _leaves(path: str, value: Any, into: Item) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _leaves(f"{path}.{key}", inner, into)
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            _leaves(f"{path}.{at}", inner, into)
    else:
        into[path] = value


def _visible(item: Item) -> Item:
    if any(key.startswith("#") for key in item):
        return {key: value for key, value in item.items() if not key.startswith("#")}
    return item
