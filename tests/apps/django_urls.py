"""Views of the Django application that `test_django` serves."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path


async def asynchronous(request: HttpRequest) -> JsonResponse:
    """An async view."""
    return JsonResponse({"n": request.GET.get("n")})


def synchronous(request: HttpRequest) -> JsonResponse:
    """A sync view, which Django runs on a thread."""
    return JsonResponse({"n": request.GET.get("n")})


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """An async stream."""

    async def body():
        for number in range(3):
            yield f"{number}\n"

    return StreamingHttpResponse(body(), content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("async", asynchronous),
    path("sync", synchronous),
    path("stream", stream),
]
