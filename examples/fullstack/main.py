"""The application: `turboapi run examples.fullstack.main:app`, or any other ASGI server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from .database import now, prepare
from .errors import add_handlers
from .routes import items, login, users, utils
from .settings import settings

STATIC = Path(__file__).with_name("static")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    """Prepare the database before the first request."""
    await run_in_threadpool(prepare, settings)
    yield {"started_at": now()}


def operation_id(route: APIRoute) -> str:
    """Names for generated clients."""
    return f"{route.tags[0]}-{route.name}" if route.tags else route.name


app = FastAPI(
    title="Full stack",
    openapi_url="/api/v1/openapi.json",
    generate_unique_id_function=operation_id,
    lifespan=lifespan,
)
app.add_middleware(
    CORSMiddleware,
    allow_origins=settings.cors_origins,
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["X-Total-Count"],
)
add_handlers(app)

api = APIRouter(prefix="/api/v1")
for module in (login, users, items, utils):
    api.include_router(module.router)
app.include_router(api)
app.mount("/static", StaticFiles(directory=STATIC), name="static")


@app.get("/", include_in_schema=False)
async def index() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html")


@app.get("/started", include_in_schema=False)
async def started(request: Request) -> dict[str, str]:
    """Since when it runs, by lifespan's state."""
    return {"started_at": request.state.started_at}
