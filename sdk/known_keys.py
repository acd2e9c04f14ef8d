"""Keeps the keys that a request was sent with out of its errors: a server may quote the key that it rejects.

A key is the caller's `api_key` or the value of a header, and the password of a proxy in the environment. A key of eight
characters or more is hidden everywhere, in upper or lower case, as JSON, URLs, HTML and Python escape it, in base64,
and where an excerpt cuts it off. A key of three to seven characters is hidden only as a whole word. Shorter keys and
placeholders (`EMPTY`, `test`) are not secret and stay visible.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from sdk.errors import SDKError
from sdk.shown_text import HIDDEN
from sdk.transport.base import Request
from sdk.transport.proxy import proxy_urls

_SHORTEST = 3
_LONG = 8
_SPELLED = (
    128  # characters of a longer key that are searched for in every spelling; the rest of the word is hidden with them
)
_NO_SECRET = re.compile(
    r"bearer|basic|empty|none|null|true|false|test|dummy|fake|key|token|secret|password|changeme|no[-_]key"
    r"|not[-_]needed|unused|undefined|default|local",
    re.IGNORECASE,
)
_PLAIN_HEADER = re.compile(
    r"accept|accept-charset|accept-encoding|accept-language|cache-control|content-type|user-agent|x-request-id"
    r"|traceparent|tracestate",
    re.IGNORECASE,
)

_NOT_A_SERVERS = frozenset({"partial", "model"})  # the text of the answer, and a name that the caller gave
_AND = r"(?:&|\\{1,4}u0026)"  # also with the escape that JSON uses within web pages
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# The place where an excerpt ends, perhaps within an escape.
_CUT = re.compile(r"(?:[\\&%][\\&%#;0-9A-Za-z]{0,40})?(?=…|['\"]?\Z)")
_CUT_BASE64 = 12  # characters of base64, which hold eight of a key


def without_keys(error: SDKError, request: Request) -> SDKError:
    """The error without the keys of its request, in its attributes and in its causes."""
    keys = keys_of(request)
    for name, value in vars(error).items():
        if name in _NOT_A_SERVERS:
            continue
        if isinstance(value, str):
            setattr(error, name, keys.hide(value))
        elif isinstance(value, bytes):
            setattr(error, name, keys.hide_bytes(value))
    error.message = keys.hide(error.message)
    _clean_causes(error, keys)
    return error


def _clean_causes(error: BaseException, keys: KnownKeys) -> None:
    """Hide keys in the causes of an error; remove a cause that still shows one."""
    if error.__suppress_context__ and error.__cause__ is None:
        error.__context__ = None  # never shown, and it quotes the request
    seen = {id(error)}
    links = [error]
    while links:
        link = links.pop()
        for name in ("__cause__", "__context__"):
            below: BaseException | None = getattr(link, name)
            if below is None or id(below) in seen:
                continue
            below.args = tuple(keys.hide(item) if isinstance(item, str) else item for item in below.args)
            if any(keys.hide(text) != text for text in (str(below), repr(below))):
                suppressed = link.__suppress_context__
                setattr(link, name, None)
                link.__suppress_context__ = suppressed and name == "__context__"
                continue
            seen.add(id(below))
            links.append(below)


def keys_of(request: Request) -> KnownKeys:
    """The keys that a request carries."""
    secrets = {
        part
        for name, value in request.headers
        if not _PLAIN_HEADER.fullmatch(name) and isinstance(value, str)
        for part in _parts(value)
    }
    for url in proxy_urls():
        secrets.update(_of_proxy(url))
    return _known(frozenset(secrets))


@lru_cache(maxsize=32)
def _known(secrets: frozenset[str]) -> KnownKeys:
    return KnownKeys(secrets)


def _parts(value: str) -> Iterator[str]:
    """The value of a header without its scheme, and the secrets within it: `session=KEY`, `Basic …`."""
    value = value.strip()
    scheme, _, rest = value.partition(" ")
    if rest and scheme.isalpha():
        value = rest.strip()
        if scheme.lower() == "basic":
            yield from _of_credentials(_from_base64(value))
    yield value
    for word in re.split(r"[\s,;]+", value):
        yield word
        yield word.partition("=")[2].strip("\"'=")


def _of_proxy(url: str) -> Iterator[str]:
    if "@" not in url:
        return
    userinfo = urlsplit(url if "://" in url else f"http://{url}").netloc.rpartition("@")[0]
    for form in (userinfo, unquote(userinfo)):
        yield form
        yield b64encode(form.encode()).decode()
        yield from _of_credentials(form)


def _of_credentials(userinfo: str) -> Iterator[str]:
    user, colon, password = userinfo.partition(":")
    yield userinfo
    yield password if colon else user


def _from_base64(text: str) -> str:
    try:
        return b64decode(text).decode("utf-8", "replace")
    except ValueError:
        return ""


class KnownKeys:
    """Hides a set of secrets, in texts and in bytes."""

    def __init__(self, secrets: Iterable[str]) -> None:
        chosen = {secret for secret in secrets if _is_secret(secret)}
        chosen |= {secret.encode().decode("latin-1") for secret in chosen}  # as `hide_bytes` decodes a body
        ordered = sorted(chosen, key=len, reverse=True)
        self._long = [secret for secret in ordered if len(secret) >= _LONG]
        self._beginnings = [beginning for secret in self._long for beginning in _beginnings(secret)]
        cores = (_as_base64(core) for secret in self._long for core in _in_base64(secret))
        patterns = [*map(_anywhere, self._long), *(f"{core}[A-Za-z0-9+/_-]{{0,2}}={{0,2}}" for core in cores)]
        patterns += [_as_a_word(secret) for secret in ordered if len(secret) < _LONG]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {HIDDEN}>"

    def hide(self, text: str) -> str:
        """The text with `<hidden>` in place of each key."""
        if self._pattern is None:
            return text
        return self._without_cut(self._pattern.sub(HIDDEN, text))

    def hide_bytes(self, data: bytes) -> bytes:
        """The same for bytes in any encoding that contains ASCII."""
        return data if self._pattern is None else self.hide(data.decode("latin-1")).encode("latin-1")

    def _without_cut(self, text: str) -> str:
        """Hide the beginning of a key that an excerpt cuts off."""
        for beginning in self._beginnings:
            text = beginning.hide(text)
        return text


class _Beginning:
    """The beginning of a key in a text that is cut off within the key: its parts, in any spelling, up to the cut."""

    def __init__(self, head: str, rest: Iterable[str]) -> None:
        self._head = re.compile(head)
        self._rest = [_compiled(part) for part in rest]

    def hide(self, text: str) -> str:
        """The text with `<hidden>` in place of each such beginning."""
        pieces: list[str] = []
        place = 0
        for found in self._head.finditer(text):
            cut = self._cut(text, found.end())
            if cut is not None and found.start() >= place:
                pieces += (text[place : found.start()], HIDDEN)
                place = cut
        return "".join((*pieces, text[place:]))

    def _cut(self, text: str, end: int) -> int | None:
        """The position of the cut; None if the text goes on and differs from the key."""
        for part in self._rest:
            if (cut := _CUT.match(text, end)) is not None:
                return cut.end()
            if (more := part.match(text, end)) is None:
                return None
            end = more.end()
        return None if (cut := _CUT.match(text, end)) is None else cut.end()


def _beginnings(secret: str) -> Iterator[_Beginning]:
    parts = _parts_of(secret[:_SPELLED])
    count = next(n for n in range(1, len(parts) + 1) if len("".join(parts[:n])) >= _LONG)
    head, rest = _spelled("".join(parts[:count])), map(_any_spelling, parts[count:])
    yield _Beginning(f"(?i:{head})", (f"(?i:{part})" for part in rest))
    for core in _in_base64(secret):
        yield _Beginning(_as_base64(core[:_CUT_BASE64]), map(_as_base64, core[_CUT_BASE64:]))


@lru_cache(maxsize=512)  # keys share their few different characters
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_secret(text: str) -> bool:
    return len(text) >= _SHORTEST and not _NO_SECRET.fullmatch(text) and text.lower() not in HIDDEN


def _anywhere(secret: str) -> str:
    rest = r"[^\s\"'<>]*" if len(secret) > _SPELLED else ""
    return f"(?i:{_spelled(secret[:_SPELLED])}){rest}"


def _as_a_word(secret: str) -> str:
    return rf"(?<!\w){_spelled(secret)}(?!\w)"


def _spelled(secret: str) -> str:
    first = secret[0]
    begin = re.escape(first.lower() + first.upper() + "\\%&")
    return f"(?=[{begin}])" + "".join(map(_any_spelling, _parts_of(secret)))


def _parts_of(secret: str) -> list[str]:
    """The characters of a secret; consecutive backslashes are one part."""
    return re.findall(r"\\+|[^\\]", secret, re.DOTALL)


def _any_spelling(part: str) -> str:
    """A pattern for a character, plain or as JSON, Python, URLs (also twice) and HTML escape it, or for backslashes.

    Each repetition is bounded, so that no body makes the search slow.
    """
    escapes = "|".join(_escapes(ord(part[0])))
    if part[0] == "\\":
        return rf"(?:(?i:{escapes})|\\){{{len(part)},{4 * len(part)}}}?"  # another backslash may escape each of them
    if part in _ENTITIES:
        escapes = f"{_AND}{_ENTITIES[part]};|{escapes}"
    if not part.isalnum():
        escapes += rf"|\\{{1,4}}{re.escape(part)}"
    return f"(?>(?i:{escapes})|{re.escape(part)})"


def _escapes(code: int) -> Iterator[str]:
    yield rf"{_AND}(?:amp;){{0,3}}\#(?:0{{0,6}}{code}|x0{{0,6}}{code:x});?"
    yield rf"\\{{1,4}}(?:u00|x){code:02x}"
    yield rf"%(?:25){{0,3}}{code:02x}"


def _in_base64(secret: str) -> Iterator[str]:
    """The forms of a secret within base64, which depend on its position in the encoded text."""
    for before in range(3):
        data = b"\0" * before + secret.encode()
        whole = b64encode(data).decode()[(0, 2, 3)[before] : len(data) * 4 // 3]
        for core in {whole, whole.translate({43: "-", 47: "_"})}:
            if len(core) >= _LONG:
                yield core


def _as_base64(core: str) -> str:
    return re.escape(core).replace("/", r"\\{0,4}/")
