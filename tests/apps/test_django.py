"""Django as an ASGI app with its admin: login by form with CSRF and cookies, adding an object, refusals; as under uvicorn."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.conftest import COMMAND_OPTIONS
from tests.support.children import REPO, Child
from tests.support.command import Command

pytest.importorskip("django")

APP = "tests.apps.django_app:app"
SETUP = """
from tests.apps import django_app
from django.core.management import call_command
from django.contrib.auth.models import User
call_command("migrate", verbosity=0)
User.objects.create_superuser("admin", "admin@example.com", "swordfish")
"""


def database(folder, name):
    """A database of its own with the admin in it; the environment that names it."""
    environment = {"TURBOAPI_TEST_DATABASE": str(folder / f"{name}.sqlite3")}
    subprocess.run([sys.executable, "-c", SETUP], cwd=REPO, env={**os.environ, **environment}, check=True, timeout=100)
    return environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("django")


@pytest.fixture(scope="module")
def ours(folder):
    """Django under `turboapi run`."""
    environment = database(folder, "ours")
    with Command(APP, *COMMAND_OPTIONS, env=environment) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def theirs(folder):
    """Django under uvicorn."""
    with Child.python("-m", "tests.support.peer", APP, env=database(folder, "theirs")) as child:
        yield f"http://127.0.0.1:{child.ready['port']}"


@pytest.fixture
def client(ours):
    with httpx.Client(base_url=ours, timeout=30) as http:
        yield http


def csrf_token(page: str) -> str:
    """The token of a page's form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def log_in(http: httpx.Client, password: str = "swordfish") -> httpx.Response:
    """The admin's login form, filled in."""
    page = http.get("/admin/login/?next=/admin/")
    data = {"username": "admin", "password": password, "next": "/admin/", "csrfmiddlewaretoken": csrf_token(page.text)}
    return http.post("/admin/login/?next=/admin/", data=data)


def test_admin_without_login_redirects(client):
    answer = client.get("/admin/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/login/?next=/admin/")


def test_login_sets_a_session_and_shows_the_admin(client):
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
    assert "sessionid" in client.cookies
    page = client.get("/admin/")
    assert page.status_code == 200
    assert "Site administration" in page.text


def test_login_with_a_wrong_password_is_told(client):
    answer = log_in(client, "wrong")
    assert answer.status_code == 200
    assert "Please enter the correct username and password" in answer.text
    assert "sessionid" not in client.cookies


def test_post_without_a_csrf_token_is_forbidden(client):
    client.get("/admin/login/")
    answer = client.post("/admin/login/", data={"username": "admin", "password": "swordfish"})
    assert answer.status_code == 403


def test_object_is_added_through_the_admin(client):
    log_in(client)
    form = client.get("/admin/auth/group/add/")
    answer = client.post(
        "/admin/auth/group/add/", data={"name": "grüppe", "csrfmiddlewaretoken": csrf_token(form.text)}
    )
    assert answer.status_code == 302
    page = client.get(answer.headers["location"])
    assert "grüppe" in page.text
    assert "was added successfully" in page.text


def test_file_is_uploaded(client):
    client.get("/admin/login/")
    files = {"file": ("f.bin", b"x" * 3_000_000)}
    token = client.cookies["csrftoken"]
    answer = client.post("/post/", data={"note": "é", "csrfmiddlewaretoken": token}, files=files)
    assert answer.json()["size"] == 3_000_000


@pytest.mark.parametrize(
    "path",
    ["/async/?a=1&b=%20", "/sync/?q=x", "/stream/", "/nowhere/", "/async", "/admin/", "/admin/jsi18n/"],
)
def test_page_is_as_under_uvicorn(ours, theirs, path):
    mine, reference = httpx.get(ours + path, timeout=30), httpx.get(theirs + path, timeout=30)
    assert (mine.status_code, mine.content) == (reference.status_code, reference.content)
    skipped = {"date", "server", "content-length", "transfer-encoding", "expires"}
    assert {k: v for k, v in mine.headers.items() if k not in skipped} == {
        k: v for k, v in reference.headers.items() if k not in skipped
    }
