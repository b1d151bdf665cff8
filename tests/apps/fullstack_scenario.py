"""What a browser and a few clients do with `examples/fullstack`, in one order: good input and bad.

Owns: the requests, and what of the answers may differ from one run to the next. Does not own: the servers, the comparison.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import httpx

API = "/api/v1"
ORIGIN = "http://localhost:5173"
ADMIN = ("admin@example.com", "changethis")
ENVIRONMENT = {"FULLSTACK_SECRET_KEY": "one key, so that tokens can be forged", "FULLSTACK_CORS_ORIGINS": ORIGIN}

NOT_COMPARED = {"date", "server", "connection", "keep-alive", "transfer-encoding"}
"""Headers of the server, and hop by hop."""

VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<time>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r'"[0-9a-f]{32}"'), "<etag>"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "<date>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<server>"),
)
"""What is made anew in each run. Of the same length in each, or compared as a length too."""


class Seen(NamedTuple):
    """One answer, without what varies."""

    step: str
    status: int
    headers: list[tuple[str, str]]
    body: str


class Client:
    """Sends, and notes what came back."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=60)
        self.seen: list[Seen] = []

    def send(self, step: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        token = options.pop("token", None)
        if token is not None:
            options["headers"] = {"authorization": f"Bearer {token}", **options.get("headers", {})}
        answer = self.http.request(method, path, **options)
        headers = [(name, masked(value)) for name, value in answer.headers.multi_items() if name not in NOT_COMPARED]
        # Times are stored with or without a fraction, in a run in a million.
        if "<time>" in (body := masked(answer.content.decode("latin-1"))):
            headers = [pair for pair in headers if pair[0] != "content-length"]
        self.seen.append(Seen(f"{len(self.seen)} {step}: {method} {path}", answer.status_code, sorted(headers), body))
        self.seen[-1] = self.seen[-1]._replace(step=masked(self.seen[-1].step))
        return answer

    def login(self, step: str, email: str, password: str) -> str:
        """A token, or none."""
        answer = self.send(step, "POST", f"{API}/login/access-token", data={"username": email, "password": password})
        return answer.json().get("access_token", "")


def masked(text: str) -> str:
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


def run(base_url: str) -> list[Seen]:
    """All of it."""
    client = Client(base_url)
    with client.http:
        pages(client)
        admin, alice = logins(client)
        oneself(client, alice)
        everybody(client, admin, alice)
        shop(client, admin, alice)
        files(client, admin, alice)
        browsers(client, alice)
        mail(client, admin)
        end(client, admin, alice)
    return client.seen


def pages(client: Client) -> None:
    client.send("the page", "GET", "/")
    client.send("its style", "GET", "/static/style.css")
    etag = client.http.get("/static/style.css").headers["etag"]
    client.send("its style, known already", "GET", "/static/style.css", headers={"if-none-match": etag})
    client.send("no such file", "GET", "/static/none.css")
    client.send("a file outside", "GET", "/static/%2e%2e/main.py")
    client.send("the docs", "GET", "/docs")
    client.send("their redirect target", "GET", "/docs/oauth2-redirect")
    client.send("the other docs", "GET", "/redoc")
    client.send("the description", "GET", f"{API}/openapi.json")
    client.send("health", "GET", f"{API}/utils/health-check/")
    client.send("health without its slash", "GET", f"{API}/utils/health-check")
    client.send("health by HEAD", "HEAD", f"{API}/utils/health-check/")
    client.send("state of lifespan", "GET", "/started")
    client.send("no such path", "GET", f"{API}/nothing")
    client.send("a wrong method", "DELETE", f"{API}/login/access-token")


def logins(client: Client) -> tuple[str, str]:
    url = f"{API}/users/signup"
    client.send("no token", "GET", f"{API}/users/me")
    client.send("no bearer", "GET", f"{API}/users/me", headers={"authorization": "Basic eDp5"})
    client.send("a forged token", "GET", f"{API}/users/me", token="eyJhIjoxfQ.eyJzdWIiOiJ4In0.AAAA")
    client.send("no token at all", "GET", f"{API}/users/me", token="x")
    client.login("wrong password", ADMIN[0], "not this one")
    client.login("nobody", "nobody@example.com", "x")
    client.send("no form", "POST", f"{API}/login/access-token", json={"username": "x"})
    client.send("half a form", "POST", f"{API}/login/access-token", data={"username": "x"})
    client.send(
        "another grant", "POST", f"{API}/login/access-token", data={"grant_type": "x", "username": "x", "password": "y"}
    )
    admin = client.login("the administrator", *ADMIN)
    client.send("whose token", "POST", f"{API}/login/test-token", token=admin)
    alice = {"email": "alice@example.com", "password": "alice's own", "full_name": "Alice Ä"}
    client.send("registers", "POST", url, json=alice)
    client.send("registers twice", "POST", url, json=alice)
    client.send("registers badly", "POST", url, json={"email": "no address", "password": "short", "full_name": 7})
    client.send("registers with nothing", "POST", url, content=b"", headers={"content-type": "application/json"})
    client.send(
        "registers with half a JSON", "POST", url, content=b'{"email": "x', headers={"content-type": "application/json"}
    )
    client.send("registers with text", "POST", url, content=b'{"email": "x"}', headers={"content-type": "text/plain"})
    client.send("registers with a list", "POST", url, json=[alice])
    return admin, client.login("alice", alice["email"], alice["password"])


def oneself(client: Client, alice: str) -> None:
    url = f"{API}/users/me"
    client.send("reads herself", "GET", url, token=alice)
    client.send("changes her name", "PATCH", url, token=alice, json={"full_name": "Alice B"})
    client.send("changes nothing", "PATCH", url, token=alice, json={})
    client.send("takes a taken address", "PATCH", url, token=alice, json={"email": ADMIN[0]})
    client.send("makes herself superuser", "PATCH", url, token=alice, json={"is_superuser": True})
    passwords = {"current_password": "alice's own", "new_password": "alice's new"}
    client.send("changes her password", "PATCH", f"{url}/password", token=alice, json=passwords)
    client.send("by the old one", "PATCH", f"{url}/password", token=alice, json=passwords)
    same = {"current_password": "alice's new", "new_password": "alice's new"}
    client.send("to the same", "PATCH", f"{url}/password", token=alice, json=same)
    client.send("to one too long", "PATCH", f"{url}/password", token=alice, json={**same, "new_password": "x" * 41})
    client.login("with the old password", "alice@example.com", "alice's own")
    client.login("with the new password", "alice@example.com", "alice's new")


def everybody(client: Client, admin: str, alice: str) -> None:
    url = f"{API}/users/"
    client.send("alice may not list", "GET", url, token=alice)
    client.send("lists", "GET", url, token=admin)
    client.send("lists a page", "GET", url, token=admin, params={"skip": 1, "limit": 1})
    client.send("lists a wrong page", "GET", url, token=admin, params={"skip": -1, "limit": "x"})
    bob = {"email": "bob@example.com", "password": "bob's own one", "is_active": False}
    bob_id = client.send("makes bob", "POST", url, token=admin, json=bob).json()["id"]
    client.send("makes bob again", "POST", url, token=admin, json=bob)
    client.login("bob is not active", bob["email"], bob["password"])
    client.send("reads bob", "GET", url + bob_id, token=admin)
    client.send("alice may not read bob", "GET", url + bob_id, token=alice)
    client.send("reads nobody", "GET", f"{url}00000000-0000-4000-8000-000000000000", token=admin)
    client.send("reads no id", "GET", f"{url}7", token=admin)
    client.send(
        "lets bob in", "PATCH", url + bob_id, token=admin, json={"is_active": True, "password": "bob's new one"}
    )
    client.send("with a wrong type", "PATCH", url + bob_id, token=admin, json={"is_active": "maybe"})
    client.login("bob is", bob["email"], "bob's new one")
    client.send("deletes bob", "DELETE", url + bob_id, token=admin)
    client.send("deletes bob again", "DELETE", url + bob_id, token=admin)


def shop(client: Client, admin: str, alice: str) -> None:
    url = f"{API}/items/"
    item = {"title": "Tea Pot", "description": "short and stout", "price": "12.50", "tags": ["kitchen", "tea"]}
    made = client.send("makes an item", "POST", url, token=alice, json=item)
    item_id = made.json()["id"]
    client.send("at its location", "GET", made.headers["location"], token=alice)
    client.send("makes a small one", "POST", url, token=alice, json={"title": "Cup"})
    client.send(
        "makes one by number", "POST", url, token=alice, json={"title": "Açaí 東京", "price": 3, "tags": ["tea"]}
    )
    client.send("the administrator makes one", "POST", url, token=admin, json={"title": "Kettle", "price": 40.25})
    wrong = {"title": "", "price": "-1", "tags": ["Tea", 7, "x" * 21]}
    client.send("makes a wrong one", "POST", url, token=alice, json=wrong)
    client.send("makes one too dear", "POST", url, token=alice, json={"title": "x", "price": "123456789.123"})
    client.send("makes one without a title", "POST", url, token=alice, json={"price": None})
    client.send("makes one without a token", "POST", url, json=item)
    client.send("lists", "GET", url, token=alice)
    client.send("the administrator lists all", "GET", url, token=admin, params={"order": "price"})
    client.send("lists a page", "GET", url, token=alice, params={"skip": 1, "limit": 1})
    client.send("lists a tag", "GET", url, token=alice, params={"tag": ["tea", "kitchen"]})
    client.send("searches", "GET", url, token=alice, params={"q": "東"})
    client.send("searches for nothing", "GET", url, token=alice, params={"q": "%00"})
    client.send("in a wrong order", "GET", url, token=alice, params={"order": "age", "limit": 101, "q": "x" * 51})
    client.send("reads the administrator's", "GET", url + "export.csv", token=admin)
    client.send("exports her own", "GET", url + "export.csv", token=alice)
    client.send("changes it", "PUT", url + item_id, token=alice, json={"price": "9.99", "tags": []})
    client.send("changes it wrongly", "PUT", url + item_id, token=alice, json={"title": "", "price": "cheap"})
    client.send("reads it", "GET", url + item_id, token=alice)
    client.send("reads none", "GET", f"{url}00000000-0000-4000-8000-000000000000", token=alice)
    client.send("reads no id", "GET", f"{url}x", token=alice)
    client.send("changes without a token", "PUT", url + item_id, json={})


def files(client: Client, admin: str, alice: str) -> None:
    items = client.http.get(f"{API}/items/", headers={"authorization": f"Bearer {alice}"}).json()["data"]
    url = f"{API}/items/{items[0]['id']}/attachment"
    client.send("no file yet", "GET", url, token=alice)
    small = {"file": ("tea.txt", b"0123456789", "text/plain")}
    client.send("attaches", "POST", url, token=alice, files=small, data={"note": "n"})
    client.send("downloads", "GET", url, token=alice)
    client.send("downloads a part", "GET", url, token=alice, headers={"range": "bytes=2-4"})
    client.send("downloads two", "GET", url, token=alice, headers={"range": "bytes=90-"})
    client.send("the administrator may", "GET", url, token=admin)
    client.send("no token, no file", "GET", url)
    client.send("attaches nothing", "POST", url, token=alice, data={"note": "n"})
    client.send("attaches text", "POST", url, token=alice, data={"file": "text", "note": "n" * 21})
    client.send("attaches 1 MiB", "POST", url, token=alice, files={"file": ("b.bin", bytes(1 << 20))})
    client.send("downloads 1 MiB", "GET", url, token=alice)
    client.send("attaches too much", "POST", url, token=alice, files={"file": ("b.bin", bytes((1 << 20) + 1))})


def browsers(client: Client, alice: str) -> None:
    url = f"{API}/items/"
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization",
    }
    client.send("preflight", "OPTIONS", url, headers=asked)
    client.send("preflight of another page", "OPTIONS", url, headers={**asked, "origin": "http://evil.example"})
    client.send("a request of the page", "GET", url, token=alice, headers={"origin": ORIGIN})
    client.send("of another page", "GET", url, token=alice, headers={"origin": "http://evil.example"})
    client.send("an error for the page", "GET", f"{url}x", token=alice, headers={"origin": ORIGIN})
    client.send("no such path for the page", "GET", "/nothing", headers={"origin": ORIGIN})
    client.send("a style for the page", "GET", "/static/style.css", headers={"origin": ORIGIN})
    client.send("OPTIONS that is no preflight", "OPTIONS", url, headers={"origin": ORIGIN})
    # uvicorn closes the connection behind such an answer, without saying so.
    apart = {"origin": ORIGIN, "connection": "close"}
    client.send("a bug", "GET", f"{API}/utils/divide/", params={"a": 1, "b": 0}, headers=apart)
    client.send("no bug", "GET", f"{API}/utils/divide/", params={"a": 1, "b": 3})


def mail(client: Client, admin: str) -> None:
    url = f"{API}/utils/test-email/"
    client.send("sends mail", "POST", url, token=admin, params={"email_to": "carol@example.com"})
    client.send("sends mail to nobody", "POST", url, token=admin, params={"email_to": "carol"})
    # The task runs after the answer: wait for what it does, unnoted.
    for _ in range(600):
        outbox = client.http.get(f"{API}/utils/outbox/", headers={"authorization": f"Bearer {admin}"})
        if outbox.json()["count"]:
            break
    client.send("what was sent", "GET", f"{API}/utils/outbox/", token=admin)


def end(client: Client, admin: str, alice: str) -> None:
    items = client.http.get(f"{API}/items/", headers={"authorization": f"Bearer {alice}"}).json()["data"]
    client.send("deletes an item", "DELETE", f"{API}/items/{items[0]['id']}", token=alice)
    client.send("deletes it again", "DELETE", f"{API}/items/{items[0]['id']}", token=alice)
    client.send("the administrator stays", "DELETE", f"{API}/users/me", token=admin)
    client.send("alice goes", "DELETE", f"{API}/users/me", token=alice)
    client.send("alice is gone", "GET", f"{API}/users/me", token=alice)
    client.send("her items too", "GET", f"{API}/items/", token=admin)
