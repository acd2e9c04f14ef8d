"""The messages of a chat, from the arguments of a call: system, history, query and images."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdk.errors import ConfigError

if TYPE_CHECKING:
    from sdk.types import Message

History = Sequence[Sequence[str]]
Roles = Sequence[Sequence[str]]


def chat_messages(
    query: str | Sequence[Message] | None,
    history: History | None = None,
    system: str | None = None,
    *,
    images: Sequence[Any] = (),
    roles: Roles | None = None,
) -> list[dict[str, Any]]:
    """The messages of a chat request.

    `history` holds pairs of question and answer, as tuples or lists. `roles` names the two roles of each turn, one pair
    more than the history has; user and assistant by default. `images` accompany the query. A `query` that is a list of
    messages is sent unchanged, after system and history. Raises ConfigError.
    """
    turns = [_pair("history", i, turn) for i, turn in enumerate(history or ())]
    names = [("user", "assistant")] * (len(turns) + 1)
    if roles is not None:
        names = [_pair("roles", i, pair) for i, pair in enumerate(roles)]
        if len(names) != len(turns) + 1:
            raise ConfigError(
                f"{len(names)} pairs for {len(turns)} turns of history and the query",
                field="roles",
                remedy="give one each",
            )
    messages: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    for (asked, answered), (user, assistant) in zip(turns, names, strict=False):
        messages += [{"role": user, "content": asked}, {"role": assistant, "content": answered}]
    if isinstance(query, str):
        content: Any = query
        if images:
            content = [{"type": "text", "text": query}, *(_image_part(i, image) for i, image in enumerate(images))]
        messages.append({"role": names[-1][0], "content": content})
    elif query is not None:
        if images:
            raise ConfigError("pass them inside the messages when query is a list of messages", field="images")
        messages += plain_messages(query)
    if not messages:
        raise ConfigError("there is nothing to ask: query, history and system are all empty", field="query")
    return messages


def plain_messages(query: Sequence[Message]) -> list[dict[str, Any]]:
    """A list of messages as plain objects. Messages of answers, ours or the `openai` package's, may be among them.

    Raises ConfigError.
    """
    try:
        return [_plain(message) for message in query]
    except (TypeError, ValueError):
        raise ConfigError(
            f"{query!r:.200} is neither a text nor a list of messages",
            field="query",
            remedy="a message is {'role': 'user', 'content': 'Hi'}",
        ) from None


def _plain(message: Any) -> dict[str, Any]:
    if type(message) is dict:
        return message
    if hasattr(message, "model_dump"):
        return dict(message.model_dump(exclude_none=True, exclude={"content_parts"}))  # `content` has its text
    return dict(message)


def _pair(name: str, index: int, pair: Any) -> tuple[str, str]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise ConfigError(f"{pair!r} is not a pair such as ('question', 'answer')", field=f"{name}[{index}]")
    return pair[0], pair[1]


def _image_part(index: int, image: Any) -> dict[str, Any]:
    """One image as OpenAI's content part: a web address or data URL unchanged, a file or bytes as a data URL."""
    if isinstance(image, str) and image.startswith(("http://", "https://", "data:")):
        url = image
    elif isinstance(image, (bytes, bytearray)):
        url = _data_url(bytes(image))
    elif isinstance(image, (str, os.PathLike)):
        try:
            with open(image, "rb") as file:
                url = _data_url(file.read())
        except OSError as error:
            raise ConfigError(f"cannot read {str(image)!r}: {error.strerror}", field=f"images[{index}]") from error
    else:
        raise ConfigError(
            f"{type(image).__name__} is not a path, an address or the bytes of an image", field=f"images[{index}]"
        )
    return {"type": "image_url", "image_url": {"url": url}}


_IMAGE_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


def _data_url(data: bytes) -> str:
    kind = next((kind for magic, kind in _IMAGE_KINDS.items() if data.startswith(magic)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
