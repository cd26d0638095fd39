"""The request bodies of the images API for the OpenAPI document, from the table of fields."""

from typing import Any, Final

from .fields import BY_ROUTE, Field, Route, Support

KINDS: Final = {int: "integer", float: "number", bool: "boolean", str: "string"}
NEEDED: Final = {
    Route.GENERATIONS: ["prompt"],
    Route.EDITS: ["prompt", "image"],
    Route.VARIATIONS: ["image"],
    Route.VIDEOS: ["prompt"],
}
EXAMPLES: Final[dict[Route, dict[str, Any]]] = {
    Route.GENERATIONS: {"prompt": "a fox on a yellow background", "seed": 7},
    Route.EDITS: {"prompt": "a fox on a blue background", "image": "data:image/png;base64,..."},
    Route.VARIATIONS: {"image": "data:image/png;base64,...", "n": 2},
    Route.VIDEOS: {"prompt": "a fox that runs through snow", "seconds": "4", "seed": 7},
}


def request_body(route: Route) -> dict[str, Any]:
    """What FastAPI adds to the route's entry."""
    schema = {
        "type": "object",
        "required": NEEDED[route],
        "properties": {
            name: _property(field)
            for name, field in BY_ROUTE[route].items()
            if field.support is not Support.NO
        },
    }
    content: dict[str, Any] = {
        "application/json": {"schema": schema, "example": EXAMPLES[route]},
    }
    if route is not Route.GENERATIONS:
        content["multipart/form-data"] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}


def _property(field: Field) -> dict[str, Any]:
    parameter = field.parameter
    if parameter is None:
        return {"type": "string", "description": field.meaning}
    found: dict[str, Any] = {"type": KINDS[parameter.kind], "description": field.meaning}
    bounds = {
        "minimum": parameter.low,
        "maximum": parameter.high,
        "enum": list(parameter.choices) or None,
    }
    return found | {name: value for name, value in bounds.items() if value is not None}
