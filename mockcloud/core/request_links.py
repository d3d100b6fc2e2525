"""Links and completion callbacks that a request may carry: where they point, and how many and how long.

Callbacks are checked as the real server checks them when no address is configured for them, which is its
default: so every URL is refused. What its own workers may register (Nexus) is not built.

Real: service/frontend/workflow_handler.go (validateLinks, validateWorkflowCompletionCallbacks),
components/callbacks/config.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from temporalio.api.common.v1 import Callback, Link

from mockcloud.core.errors import InvalidArgument, Unimplemented
from mockcloud.core.limits import Limits

_SYSTEM_URLS = frozenset({"temporal://system", "temporal://internal"})


def check_links(links: Sequence[Link], limits: Limits) -> None:
    """Raises InvalidArgument for too many links, for too long a one, for one that leads nowhere."""
    if len(links) > limits.links_per_request:
        raise InvalidArgument(
            f"cannot attach more than {limits.links_per_request} links per request, got {len(links)}"
        )
    for link in links:
        size = link.ByteSize()
        if size > limits.link_bytes:
            raise InvalidArgument(f"link exceeds allowed size of {limits.link_bytes}, got {size}")
        problem = _link_problem(link)
        if problem is not None:
            raise InvalidArgument(problem)


def _link_problem(link: Link) -> str | None:
    variant = link.WhichOneof("variant")
    if variant == "batch_job":
        return None if link.batch_job.job_id else "batch job link must not have an empty job ID"
    if variant != "workflow_event":
        return "unsupported link variant"
    event = link.workflow_event
    for value, name in (
        (event.namespace, "namespace field"),
        (event.workflow_id, "workflow ID field"),
        (event.run_id, "run ID field"),
    ):
        if not value:
            return f"workflow event link must not have an empty {name}"
    if event.event_ref.event_id and not event.event_ref.event_type:
        return "workflow event link ref cannot have an unspecified event type and a non-zero event ID"
    return None


def check_callbacks(callbacks: Sequence[Callback], limits: Limits) -> None:
    """Raises for any callback.

    Raises:
        InvalidArgument: it is wrong, or leads to an address that is not configured.
        Unimplemented: it is one of the server's own.
    """
    if len(callbacks) > limits.callbacks_per_run:
        raise InvalidArgument(f"cannot attach more than {limits.callbacks_per_run} callbacks to a workflow")
    for callback in callbacks:
        variant = callback.WhichOneof("variant")
        if variant is None:
            raise Unimplemented("unknown callback variant: <nil>")
        if variant == "internal":
            raise InvalidArgument("unknown callback variant: *common.Callback_Internal_")
        _check_url(callback.nexus.url, limits)
        size = sum(len(key.encode()) + len(value.encode()) for key, value in callback.nexus.header.items())
        if size > limits.callback_header_bytes:
            raise InvalidArgument(
                f"invalid header: header size longer than max allowed size of {limits.callback_header_bytes}"
            )
        raise Unimplemented("Starting a workflow with completion_callbacks is not implemented.")


def _check_url(url: str, limits: Limits) -> None:
    if len(url.encode()) > limits.callback_url_bytes:
        raise InvalidArgument(
            f"invalid url: url length longer than max length allowed of {limits.callback_url_bytes}"
        )
    if url in _SYSTEM_URLS:
        return
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidArgument(f"invalid callback url: {error}") from None
    bad = next((character for character in parts.netloc if character in ' "<>'), None)
    if bad is not None:
        raise InvalidArgument(f'invalid callback url: parse "{url}": invalid character "{bad}" in host name')
    if parts.scheme not in ("http", "https"):
        raise InvalidArgument(f"invalid url: unknown scheme: {url}")
    if not parts.netloc:
        raise InvalidArgument("invalid url: missing host")
    raise InvalidArgument(f"invalid url: url does not match any configured callback address: {url}")
