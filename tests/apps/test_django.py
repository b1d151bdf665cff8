"""Django through ASGI: sync and async views, and a login to its admin with CSRF, cookies and a redirect."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

django = pytest.importorskip("django")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("django")
    from django.conf import settings

    settings.configure(
        DEBUG=True,
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.apps.django_urls",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        STATIC_URL="/static/",
    )
    django.setup()
    from django.contrib.auth.models import User
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("admin", "admin@example.com", "secret")
    return get_asgi_application()


def test_views_answer(live, application):
    with httpx.Client(base_url=live(application).url) as client:
        assert client.get("/async?n=3").json() == {"n": "3"}
        assert client.get("/sync?n=4").json() == {"n": "4"}
        assert client.get("/stream").text == "0\n1\n2\n"
        assert client.get("/absent").status_code == 404


def test_admin_lets_in_who_knows_the_password(live, application):
    with httpx.Client(base_url=live(application).url) as client:
        client.get("/admin/login/")
        form = {"username": "admin", "password": "wrong", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert "Please enter the correct" in client.post("/admin/login/", data=form).text
        form["password"] = "secret"
        form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
        answer = client.post("/admin/login/?next=/admin/", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
        assert "Site administration" in client.get("/admin/").text
        del form["csrfmiddlewaretoken"]
        assert client.post("/admin/login/", data=form).status_code == 403
