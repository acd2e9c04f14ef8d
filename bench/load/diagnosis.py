"""Why the first request was refused, in one line: the server's message, its address, and what to try."""

from __future__ import annotations

from dataclasses import replace

from bench.outcome import Outcome
from bench.records.record import Record
from bench.remedies import remedy
from bench.target import ProtocolError, SDKError, Target, TargetAddress
from bench.workload.body import BodyForm, EndpointKind
from bench.workload.datasets import Prompt

_MISSING = (404, 405, 501)
_OTHER: dict[EndpointKind, EndpointKind] = {"chat": "completions", "completions": "chat"}


async def explain_refusal(target: Target, form: BodyForm, record: Record) -> str:
    """The message about the first request, which ended as in `record`."""
    said = (record.error or f"it was {record.outcome}").rstrip(". ")
    url = f"{target.address.api.origin}{target.address.endpoint(form.kind)}"
    if record.status in (401, 403):
        return key_message(target, url, said)
    line = f"the first request to {url} failed, so nothing was measured: {said}"
    if record.outcome is Outcome.TIMEOUT_CONNECT:
        return line + plain_http_hint(target)
    advice = await _endpoint_advice(target, form, record)
    advice = advice or remedy(record.outcome, record.status, said, under_load=False)
    return f"{line}; {advice}" if advice else line


def key_message(target: Target, url: str, said: str) -> str:
    """The message when the server requires another key."""
    what = "does not accept the API key" if target.sends_key else "requires an API key, and none was given"
    return (
        f"{url} {what} ({said}); give it with --api-key or OPENAI_API_KEY, or give a gateway's own header with --header"
    )


def plain_http_hint(target: Target) -> str:
    """What to try when a TLS handshake fails; empty for an address without TLS."""
    address = str(target.address)
    return f"; does it speak plain http? Try --base-url http{address[5:]}" if address.startswith("https:") else ""


async def _endpoint_advice(target: Target, form: BodyForm, record: Record) -> str:
    """The other endpoint, if this one does not exist or does not suit the model, and the other one answers."""
    said = (record.error or "").lower()
    is_missing = record.outcome is Outcome.HTTP_4XX and record.status in _MISSING and "model" not in said
    if not is_missing and not (form.kind == "chat" and record.status in (400, 422, 500) and "chat template" in said):
        return ""
    here, other = target.address.endpoint(form.kind), _OTHER[form.kind]
    usual = TargetAddress(target.address.api)
    for kind in (form.kind, other):
        there = usual.endpoint(kind)
        if there != here and await _answers(target, form, kind, there):
            base = f"--base-url {usual} " if target.address.path is not None else ""
            return f"{there} exists: try {base}--endpoint {kind}"
    if not is_missing:
        return ""
    if target.address.path is not None:
        return f"check the path {here}"
    return f"{usual.endpoint(other)} does not exist either: check the path in --base-url"


async def _answers(target: Target, form: BodyForm, kind: EndpointKind, path: str) -> bool:
    """Whether the endpoint at that path accepts a plain request for one token."""
    asked = replace(form, kind=kind, features=replace(form.features, usage=False, fixed_length=False), stream=False)
    prompt = Prompt(1, text="Hi", messages=[{"role": "user", "content": "Hi"}])
    try:
        await target.post(path, asked.build(prompt))
    except ProtocolError:  # it answered, although not in JSON
        return True
    except SDKError:
        return False
    return True
