"""Stream JSON Lines; Server-Sent Events."""

from ..case import flow, get, page, post_json, request, sent

CASES = (
    *page(
        "Stream JSON Lines",
        "streams",
        get("models", "/jsonl"),
        get("models from a def", "/jsonl-sync"),
        get("anything without an annotation", "/jsonl-bare"),
        get("nulls left out", "/jsonl-excluding"),
        get("a wrong item tears the body", "/jsonl-wrong"),
        get("no items", "/jsonl-empty"),
        get("status, headers and a dependency", "/jsonl-status"),
        request("HEAD", "HEAD", "/jsonl"),
    ),
    *page(
        "Server-Sent Events",
        "streams",
        get("models as events", "/sse"),
        get("models as events from a def", "/sse-sync"),
        get("anything as events", "/sse-bare"),
        get("every field of an event", "/sse-events"),
        get("from the last event on", "/sse-events", headers={"last-event-id": "1"}),
        get("a last event that is no number", "/sse-events", headers={"last-event-id": "x"}),
        post_json("from a POST", "/sse-post", {"name": "a few words"}),
        post_json("from a wrong POST", "/sse-post", {}),
        get("an error in the middle", "/sse-fails"),
        get("a wrong item", "/sse-wrong"),
        get("a parameter missing", "/sse-refused"),
        get("a refusal by the generator comes too late", "/sse-refused?ok=0"),
        get("a dependency's value", "/sse-refused?ok=1"),
        get("a thousand events", "/sse-many"),
        flow("a connection goes on after events", sent("GET", "/sse"), sent("GET", "/jsonl")),
    ),
)
