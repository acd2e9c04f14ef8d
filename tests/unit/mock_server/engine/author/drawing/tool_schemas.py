"""Parameters of tools as programs write them: by hand for MCP servers, by pydantic, by zod, for OpenAPI.

Each is made up for these tests, in the manner of the library or server that its name tells.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl
from pydantic import types as pydantic_types


class Unit(StrEnum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Coordinates(BaseModel):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Place(BaseModel):
    """Somewhere."""

    name: str = Field(min_length=1, max_length=80)
    coordinates: Coordinates | None = None
    tags: set[str] = set()
    altitude: pydantic_types.conint(multiple_of=5, gt=-500, lt=9000) | None = None  # type: ignore[valid-type]


class WeatherRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    place: Place
    unit: Unit = Unit.celsius
    days: int = Field(3, ge=1, le=14)
    source: HttpUrl | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    good: Literal[True]


class Shelter(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(min_length=1)
    rooms: dict[str, int] = {}
    pair: tuple[int, str]


class Comment(BaseModel):
    author: str
    replies: list[Comment] = []
    parent: Comment | None = None


class Expression(BaseModel):
    operator: Literal["+", "-"]
    left: Expression | float
    right: Expression | float


PYDANTIC: dict[str, dict[str, Any]] = {
    f"pydantic {model.__name__}": model.model_json_schema()
    for model in (WeatherRequest, Place, Shelter, Comment, Expression)
}

TOOLS: dict[str, dict[str, Any]] = PYDANTIC | {
    name: schema
    for path in sorted(Path(__file__).with_name("tool_schemas").glob("*.json"))
    for name, schema in json.loads(path.read_text("utf-8")).items()
}
