"""A Django project in one module: admin, sessions, CSRF, a model of its own, an async view. For `TURBOAPI_TEST_DATABASE`."""

import asyncio
import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="not a secret",
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["TURBOAPI_TEST_DATABASE"]}},
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
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib import admin  # noqa: E402, after setup()
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


async def async_view(request):
    await asyncio.sleep(0.001)
    return JsonResponse({"method": request.method, "query": request.GET.dict(), "asgi": True})


def sync_view(request):
    return HttpResponse(f"sync {request.GET.get('q', '')}", headers={"x-own": "1"})


async def stream_view(request):
    async def lines():
        for i in range(100):
            yield f"line {i}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def post_view(request):
    uploaded = request.FILES.get("file")
    return JsonResponse({"post": request.POST.dict(), "size": uploaded.size if uploaded else None})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("async/", async_view),
    path("sync/", sync_view),
    path("stream/", stream_view),
    path("post/", post_view),
]

app = get_asgi_application()
