"""What ``Server.respond`` is given: every argument is checked here, and made into what the native module takes."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pooled_httpd import _native
from pooled_httpd._checks import Buffer, content_bytes, number_of_seconds, text, text_or_none, whole_number
from pooled_httpd._telling import shown
from pooled_httpd.errors import OptionError
from pooled_httpd.faults import LONGEST_WAIT, Fault, plan_of

if TYPE_CHECKING:
    from pooled_httpd._native import CannedAnswer

__all__ = ["LEFT_OUT", "FieldLines", "register"]

FieldLines: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class _LeftOut:
    """Stands for an argument that was not given, where None is a value."""

    def __repr__(self) -> str:
        """As a signature shows it."""
        return "..."


LEFT_OUT: Final = _LeftOut()


def register(
    server: _native.Server,
    path: str,
    *,
    method: str | None,
    status: int,
    reason: str | None,
    headers: FieldLines | None,
    content: str | Buffer,
    json: Any,  # noqa: ANN401 - whatever JSON can hold
    delay: float,
    times: int | None,
    fault: Fault | Iterable[Fault] | None,
) -> CannedAnswer:
    """Register an answer; OptionError names the first argument that is wrong."""
    text("path", path)
    text_or_none("method", method)
    text_or_none("reason", reason)
    whole_number("status", status, range(200, 1000), "what else is to be sent goes as raw bytes")
    if times is not None:
        whole_number("times", times, range(1, (1 << 64) - 1), "None is for as many as are asked for")
    seconds = number_of_seconds("delay", delay, high=LONGEST_WAIT)
    fields = _pairs(headers)
    body, kind = _content(content, json)
    named = {name.lower() for name, _ in fields}
    if kind is not None and "content-type" not in named:
        fields.append(("Content-Type", kind))
    has_content = method != "HEAD" and status not in (204, 304)
    # Its head may promise what does not come.
    is_open = has_content and any(
        (name.lower() == "content-length" and value != "0") or name.lower() == "transfer-encoding"
        for name, value in fields
    )
    plan = plan_of(fault, seconds, body if has_content else b"", is_open=is_open)
    is_raw = plan.raw is not None
    if is_raw and (status != 200 or reason is not None or fields or body or json is not LEFT_OUT):
        given = {"status": status != 200, "reason": reason is not None, "json": json is not LEFT_OUT, "content": body}
        what = next((name for name, is_given in given.items() if is_given), "headers")
        raise OptionError(f"fault: garbage comes in place of a response, so there can be no {what}")
    return _native._respond(
        server,
        path,
        method=method,
        status=status,
        reason=reason,
        fields=fields,
        content=body if plan.raw is None else plan.raw,
        is_raw=is_raw,
        times=times,
        delay=plan.delay,
        stall=plan.stall,
        dribble=plan.dribble,
        cut=plan.cut,
    )


def _pairs(headers: FieldLines | None) -> list[tuple[str, str]]:
    """Return field lines as pairs of name and value."""
    if headers is None:
        return []
    if isinstance(headers, str | Buffer) or not isinstance(headers, Iterable):
        raise OptionError(f"headers: {shown(headers)} is neither a mapping nor pairs of name and value")
    fields: list[tuple[str, str]] = []
    for pair in headers.items() if isinstance(headers, Mapping) else headers:
        parts = tuple(pair) if isinstance(pair, Sequence) and not isinstance(pair, str | Buffer) else ()
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise OptionError(f"headers: {shown(pair)} is not a name and a value, both of them text")
        for part in parts:
            text("headers", part)
        fields.append((parts[0], parts[1]))
    return fields


def _content(content: str | Buffer, json: Any) -> tuple[bytes, str | None]:  # noqa: ANN401 - whatever JSON can hold
    """Return the content, and its media type where that is known."""
    body = content_bytes(content)
    if json is LEFT_OUT:
        return body, "text/plain; charset=utf-8" if body and isinstance(content, str) else None
    if body:
        raise OptionError("json: there is content as well; it is one or the other")
    try:
        return json_module.dumps(json, allow_nan=False).encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"json: {shown(json)} cannot be sent as JSON: {error}") from error
