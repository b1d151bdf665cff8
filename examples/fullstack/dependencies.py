"""What routes depend on: a transaction, who asks, which page."""

import sqlite3
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

from .database import connect, find_user
from .models import UserPublic
from .security import InvalidToken, read_token
from .settings import Settings, settings

reusable_oauth2 = OAuth2PasswordBearer(tokenUrl="/api/v1/login/access-token")


def get_settings() -> Settings:
    """The settings, which tests may override."""
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]


def get_connection(settings: SettingsDep) -> Iterator[sqlite3.Connection]:
    """A connection, closed afterwards."""
    connection = connect(settings)
    try:
        yield connection
    finally:
        connection.close()


def get_session(connection: Annotated[sqlite3.Connection, Depends(get_connection)]) -> Iterator[sqlite3.Connection]:
    """A transaction: committed if the route did well, rolled back if it raised."""
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


# Committed before the answer is sent, so that the next request of the same client sees it.
SessionDep = Annotated[sqlite3.Connection, Depends(get_session, scope="function")]
TokenDep = Annotated[str, Depends(reusable_oauth2)]


def get_current_user(session: SessionDep, settings: SettingsDep, token: TokenDep) -> UserPublic:
    """Who asks."""
    try:
        user_id = read_token(token, settings.secret_key)
    except InvalidToken:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"}
        ) from None
    user = find_user(session, id=user_id)
    if user is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "User not found")
    if not user["is_active"]:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
    return UserPublic.model_validate(dict(user))


CurrentUser = Annotated[UserPublic, Depends(get_current_user)]


def get_current_superuser(current_user: CurrentUser) -> UserPublic:
    """Who asks, if it is one who may do anything."""
    if not current_user.is_superuser:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "The user doesn't have enough privileges")
    return current_user


class Paging(BaseModel):
    """Which rows."""

    skip: int = Query(default=0, ge=0)
    limit: int = Query(default=100, ge=1, le=100)


PagingDep = Annotated[Paging, Depends(Paging)]
