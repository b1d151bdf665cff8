"""Security in every form that FastAPI has, made without clocks or random salts."""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Security
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    OpenIdConnect,
    SecurityScopes,
)
from pydantic import BaseModel

app = FastAPI()
KEY = b"not a secret"


class User(BaseModel):
    username: str
    email: str | None = None
    disabled: bool | None = None


USERS = {
    "johndoe": User(username="johndoe", email="johndoe@example.com"),
    "alice": User(username="alice", disabled=True),
}


def signed(payload: dict) -> str:
    data = base64.urlsafe_b64encode(json.dumps(payload, sort_keys=True).encode()).decode()
    return data + "." + hmac.new(KEY, data.encode(), hashlib.sha256).hexdigest()


def unsigned(token: str) -> dict | None:
    data, _, mac = token.partition(".")
    if not hmac.compare_digest(mac, hmac.new(KEY, data.encode(), hashlib.sha256).hexdigest()):
        return None
    return json.loads(base64.urlsafe_b64decode(data))


oauth2 = OAuth2PasswordBearer(tokenUrl="token", scopes={"me": "Read yourself.", "items": "Read items."})


@app.get("/token-only")
async def token_only(token: Annotated[str, Depends(oauth2)]):
    return {"token": token}


@app.post("/token")
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    if form.username not in USERS or form.password != "secret":
        raise HTTPException(400, detail="Incorrect username or password")
    return {
        "access_token": signed({"sub": form.username, "scopes": form.scopes}),
        "token_type": "bearer",
        "client": form.client_id,
    }


@app.post("/token-strict")
def login_strict(form: Annotated[OAuth2PasswordRequestFormStrict, Depends()]):
    return {"grant": form.grant_type, "scopes": form.scopes}


async def current_user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth2)]):
    challenge = f'Bearer scope="{scopes.scope_str}"' if scopes.scopes else "Bearer"
    payload = unsigned(token)
    if payload is None or payload["sub"] not in USERS:
        raise HTTPException(401, "Could not validate credentials", headers={"WWW-Authenticate": challenge})
    if missing := [scope for scope in scopes.scopes if scope not in payload["scopes"]]:
        raise HTTPException(401, f"Not enough permissions: {missing}", headers={"WWW-Authenticate": challenge})
    return USERS[payload["sub"]]


async def active_user(user: Annotated[User, Security(current_user, scopes=["me"])]):
    if user.disabled:
        raise HTTPException(status_code=400, detail="Inactive user")
    return user


@app.get("/users/me")
async def me(user: Annotated[User, Depends(active_user)]) -> User:
    return user


@app.get("/users/me/items")
async def my_items(user: Annotated[User, Security(active_user, scopes=["items"])]):
    return [{"item_id": "Foo", "owner": user.username}]


@app.get("/status")
def status(user: Annotated[User, Depends(current_user)]):
    return {"status": "ok", "user": user.username}


def scope_reader(scopes: SecurityScopes):
    return scopes.scopes


@app.get("/scopes")
async def read_scopes(
    a: Annotated[list, Security(scope_reader, scopes=["x", "y"])], b: Annotated[list, Depends(scope_reader)]
):
    return [a, b]


basic = HTTPBasic()


@app.get("/basic")
def by_basic(credentials: Annotated[HTTPBasicCredentials, Depends(basic)]):
    if not secrets.compare_digest(credentials.password.encode(), b"swordfish"):
        raise HTTPException(401, "Incorrect", headers={"WWW-Authenticate": "Basic"})
    return {"username": credentials.username}


@app.get("/basic-realm")
async def by_basic_realm(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="simple"))]):
    return credentials


@app.get("/basic-optional")
async def by_basic_optional(credentials: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))]):
    return {"credentials": credentials}


@app.get("/bearer")
async def by_bearer(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
    return credentials


@app.get("/bearer-optional")
async def by_bearer_optional(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
):
    return {"credentials": credentials}


@app.get("/digest")
def by_digest(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPDigest())]):
    return credentials


@app.get("/key-query")
async def by_query(key: Annotated[str, Depends(APIKeyQuery(name="key"))]):
    return {"key": key}


@app.get("/key-header")
async def by_header(key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))]):
    return {"key": key}


@app.get("/key-cookie")
async def by_cookie(key: Annotated[str, Depends(APIKeyCookie(name="key"))]):
    return {"key": key}


@app.get("/key-optional")
async def by_optional(
    query: Annotated[str | None, Depends(APIKeyQuery(name="key", auto_error=False))],
    header: Annotated[str | None, Depends(APIKeyHeader(name="X-Key", auto_error=False))],
    cookie: Annotated[str | None, Depends(APIKeyCookie(name="key", auto_error=False))],
):
    return [query, header, cookie]


@app.get("/oauth2")
async def by_oauth2(
    value: Annotated[str | None, Security(OAuth2(flows={"password": {"tokenUrl": "token"}}), scopes=["a"])],
):
    return {"value": value}


code = OAuth2AuthorizationCodeBearer(authorizationUrl="authorize", tokenUrl="token", auto_error=True)


@app.get("/code")
async def by_code(token: Annotated[str, Depends(code)]):
    return {"token": token}


@app.get("/openid")
async def by_openid(value: Annotated[str, Depends(OpenIdConnect(openIdConnectUrl="/openid"))]):
    return {"value": value}


class Bearer403(HTTPBearer):
    def make_not_authenticated_error(self) -> HTTPException:
        return HTTPException(status_code=403, detail="Not authenticated")


@app.get("/bearer-403")
def by_bearer_403(credentials: Annotated[HTTPAuthorizationCredentials, Depends(Bearer403())]):
    return credentials


@app.post("/guarded-form")
async def guarded_form(key: Annotated[str, Depends(APIKeyHeader(name="X-Key"))], text: Annotated[str, Form()]):
    return {"text": text}
