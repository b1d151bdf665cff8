"""What OpenAPI prints: metadata, webhooks, callbacks, examples, separate schemas, docs pages, extended schema."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, FastAPI, Form, Header, Path, Query, Security, UploadFile
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader, HTTPBasic, OAuth2PasswordBearer
from pydantic import BaseModel, Field, HttpUrl

app = FastAPI(
    title="ChimichangApp",
    description="**Everything**",
    summary="Deadpool's favorite app. Nuff said.",
    version="0.0.1",
    terms_of_service="http://example.com/terms/",
    contact={"name": "D", "url": "http://x-force.example.com/contact/", "email": "dp@x-force.example.com"},
    license_info={"name": "Apache 2.0", "identifier": "MIT"},
    openapi_tags=[{"name": "users", "description": "Users", "externalDocs": {"url": "https://example.com"}}],
    servers=[{"url": "https://stag.example.com", "description": "Staging"}],
    swagger_ui_parameters={"syntaxHighlight": {"theme": "obsidian"}, "deepLinking": False},
    swagger_ui_init_oauth={"clientId": "the-foo-clients", "appName": "The app"},
    openapi_external_docs={"url": "https://example.com/docs"},
)


class Item(BaseModel):
    model_config = {"json_schema_extra": {"examples": [{"name": "Foo", "price": 35.4}]}}
    name: str
    price: float = Field(examples=[3.5], gt=0, le=1000)
    tags: list[str] = []
    description: str | None = None


class Subscription(BaseModel):
    username: str
    monthly_fee: float
    start_date: datetime


class Invoice(BaseModel):
    id: str
    total: float


class InvoiceEvent(BaseModel):
    description: str
    paid: bool


callbacks = APIRouter()


@callbacks.post("{$callback_url}/invoices/{$request.body.id}", response_model=dict)
def invoice_notification(body: InvoiceEvent):
    pass


@app.webhooks.post("new-subscription")
def new_subscription(body: Subscription):
    """When a new user subscribes, we send this."""


@app.post("/invoices/", callbacks=callbacks.routes, tags=["users"])
def create_invoice(invoice: Invoice, callback_url: HttpUrl | None = None):
    return {"msg": "Invoice received", "callback": callback_url}


@app.get("/users/", tags=["users"])
async def users():
    return [{"name": "Harry"}]


@app.post("/items/")
async def items(
    item: Annotated[
        Item, Body(openapi_examples={"normal": {"summary": "A normal example", "value": {"name": "F", "price": 1}}})
    ],
) -> Item:
    return item


@app.put("/items/{item_id}")
async def put_item(
    item_id: Annotated[int, Path(title="The ID", ge=1, examples=[3])],
    q: Annotated[list[str] | None, Query(deprecated=True, alias="item-query", max_length=3)] = None,
    x: Annotated[str, Header()] = "x",
    token: Annotated[str, Security(OAuth2PasswordBearer(tokenUrl="t", scopes={"a": "A"}), scopes=["a"])] = "",
    basic: Annotated[object, Depends(HTTPBasic())] = None,
    key: Annotated[object, Depends(APIKeyHeader(name="k", description="the key"))] = None,
):
    return item_id


@app.post("/upload", deprecated=True, responses={413: {"description": "Too large"}})
def upload(file: UploadFile, note: Annotated[str, Form(min_length=2)]):
    return note


merged = FastAPI(
    separate_input_output_schemas=False, openapi_url="/api/v1/openapi.json", docs_url="/documentation", redoc_url=None
)


@merged.post("/items/")
def merged_items(item: Item) -> list[Item]:
    return [item]


own = FastAPI(docs_url=None, redoc_url=None)


@own.get("/docs", include_in_schema=False)
async def own_docs():
    return get_swagger_ui_html(
        openapi_url=own.openapi_url,
        title=own.title + " - own",
        swagger_js_url="/static/a.js",
        swagger_css_url="/static/a.css",
    )


@own.get("/oauth2-redirect", include_in_schema=False)
async def own_redirect():
    return get_swagger_ui_oauth2_redirect_html()


@own.get("/redoc", include_in_schema=False)
def own_redoc():
    return get_redoc_html(openapi_url=own.openapi_url, title="redoc")


@own.get("/items/")
async def own_items():
    return []


def extended():
    if not own.openapi_schema:
        own.openapi_schema = get_openapi(
            title="Custom", version="2.5.0", summary="s", description="d", routes=own.routes
        )
        own.openapi_schema["info"]["x-logo"] = {"url": "https://example.com/logo.png"}
    return own.openapi_schema


own.openapi = extended

silent = FastAPI(openapi_url="")


@silent.get("/")
def silent_root():
    return {"message": "Hello World"}
