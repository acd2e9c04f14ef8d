"""instructor: typed extraction in its modes, as its documentation writes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

import instructor
import openai
import pytest
from instructor import Mode
from instructor.core import IncompleteOutputException, InstructorRetryException
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field, ValidationError, field_validator

MODEL = "sim-chat"
SEEDS = range(40)
TEXT = [{"role": "user", "content": "Anna is 30 and lives at 3 Main Street in Hamburg. She writes to Ben."}]

# every mode that needs nothing but chat completions
MODES = [Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON, Mode.JSON_SCHEMA]


class Role(StrEnum):
    ADMIN = "admin"
    GUEST = "guest"


class Address(BaseModel):
    street: str
    city: str


class User(BaseModel):
    name: str = Field(description="the first name")
    age: int = Field(ge=0, le=120)
    role: Role
    home: Address | None = None
    friends: list[str] = Field(default_factory=list)


class Profile(BaseModel):
    """For partial models, in which the package takes no members of an enumeration."""

    name: str
    age: int
    home: Address


class Weather(BaseModel):
    """Look up the weather."""

    place: str
    unit: Literal["celsius", "fahrenheit"]


class Search(BaseModel):
    """Search the web."""

    query: str


def client(url: str, mode: Mode) -> instructor.Instructor:
    return instructor.from_openai(OpenAI(base_url=url, api_key="any", max_retries=0), mode=mode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_mode_extracts_the_model_at_the_first_try(base_url: str, mode: Mode) -> None:
    users = [
        client(base_url, mode).chat.completions.create(
            model=MODEL, response_model=User, messages=TEXT, seed=seed, max_retries=0
        )
        for seed in SEEDS
    ]
    assert all(isinstance(user, User) for user in users)
    assert len({user.name for user in users}) > 1
    assert {user.home is None for user in users} == {True, False}
    assert {user.role for user in users} == {Role.ADMIN, Role.GUEST}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_mode_streams_a_partial_model(base_url: str, mode: Mode) -> None:
    create = client(base_url, mode).chat.completions.create_partial
    pieces = list(create(model=MODEL, response_model=Profile, messages=TEXT, seed=1, max_retries=0))
    assert len(pieces) > 2
    assert pieces[0].name is None
    Profile.model_validate(pieces[-1].model_dump())


@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON_SCHEMA], ids=lambda mode: mode.value)
def test_many_models_are_extracted_from_one_answer(base_url: str, mode: Mode) -> None:
    create = client(base_url, mode).chat.completions.create_iterable
    counts = set()
    for seed in SEEDS:
        # the schema that the package makes up does not require the list, and so an answer may lack it
        with contextlib.suppress(ValidationError):
            found = list(create(model=MODEL, response_model=User, messages=TEXT, seed=seed))
            assert all(isinstance(user, User) for user in found)
            counts.add(len(found))
    assert max(counts) > 1


def test_several_tools_at_once(base_url: str) -> None:
    create = client(base_url, Mode.PARALLEL_TOOLS).chat.completions.create
    seen: set[type] = set()
    for words in ("Search for tides.", "How is the Weather in Paris?"):
        messages = [{"role": "user", "content": words}]
        seen |= {
            type(call) for call in create(model=MODEL, response_model=Iterable[Weather | Search], messages=messages)
        }
    assert seen == {Weather, Search}


def test_the_completion_comes_along(base_url: str) -> None:
    user, completion = client(base_url, Mode.TOOLS).chat.completions.create_with_completion(
        model=MODEL, response_model=User, messages=TEXT
    )
    assert isinstance(user, User)
    assert completion.usage.completion_tokens > 1


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_an_answer_that_its_validator_refuses_is_asked_for_again(base_url: str, mode: Mode) -> None:
    refused: list[str] = []

    class Picky(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def not_the_first_two(cls, name: str) -> str:
            if len(refused) < 2:
                refused.append(name)
                raise ValueError("another name, please")
            return name

    picky = client(base_url, mode).chat.completions.create(
        model=MODEL, response_model=Picky, messages=TEXT, max_retries=3
    )
    assert isinstance(picky, Picky)
    assert len(refused) == 2


@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON_SCHEMA], ids=lambda mode: mode.value)
def test_an_answer_cut_short_is_that_error(base_url: str, mode: Mode) -> None:
    with pytest.raises((IncompleteOutputException, InstructorRetryException)):
        client(base_url, mode).chat.completions.create(
            model=MODEL, response_model=User, messages=TEXT, max_tokens=2, max_retries=0
        )


def test_plain_types_and_lists(base_url: str) -> None:
    create = client(base_url, Mode.TOOLS).chat.completions.create
    assert isinstance(create(model=MODEL, response_model=int, messages=TEXT), int)
    assert isinstance(create(model=MODEL, response_model=Literal["yes", "no"], messages=TEXT), str)
    assert all(isinstance(user, User) for user in create(model=MODEL, response_model=list[User], messages=TEXT))
    assert create(model=MODEL, response_model=None, messages=TEXT).choices[0].message.content


def test_asynchronously(base_url: str) -> None:
    async def extract() -> list[User]:
        async with AsyncOpenAI(base_url=base_url, api_key="any") as plain:
            create = instructor.from_openai(plain).chat.completions.create
            return await asyncio.gather(
                *(create(model=MODEL, response_model=User, messages=TEXT, seed=seed) for seed in range(8))
            )

    assert all(isinstance(user, User) for user in asyncio.run(extract()))


def test_the_server_s_refusal_reaches_the_caller(base_url: str) -> None:
    with pytest.raises((openai.NotFoundError, InstructorRetryException), match="gpt-unknown"):
        client(base_url, Mode.TOOLS).chat.completions.create(
            model="gpt-unknown", response_model=User, messages=TEXT, max_retries=0
        )
