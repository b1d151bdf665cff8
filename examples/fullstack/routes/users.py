"""Users: oneself, and for superusers everybody."""

import sqlite3
import uuid

from fastapi import APIRouter, Depends, HTTPException, status

from ..database import add_user, find_user, update
from ..dependencies import CurrentUser, PagingDep, SessionDep, get_current_superuser
from ..errors import Conflict
from ..models import (
    Message,
    Page,
    UpdatePassword,
    UserCreate,
    UserPublic,
    UserRegister,
    UserUpdate,
    UserUpdateMe,
)
from ..security import hash_password, verify_password

router = APIRouter(prefix="/users", tags=["users"])
for_superusers = [Depends(get_current_superuser)]


def insert(session: sqlite3.Connection, user: UserRegister) -> dict[str, object]:
    """Add a user whose address is new."""
    if find_user(session, email=user.email):
        raise Conflict("user", user.email)
    user_id = add_user(session, **user.model_dump())
    return dict(find_user(session, id=user_id))


@router.post("/signup", response_model=UserPublic, status_code=status.HTTP_201_CREATED)
def register(session: SessionDep, user: UserRegister) -> object:
    """Register, without being logged in."""
    return insert(session, user)


@router.get("/me", response_model=UserPublic)
def read_me(current_user: CurrentUser) -> object:
    """Oneself."""
    return current_user


@router.patch("/me", response_model=UserPublic)
def update_me(session: SessionDep, current_user: CurrentUser, changes: UserUpdateMe) -> object:
    """Change oneself."""
    if changes.email and changes.email != current_user.email and find_user(session, email=changes.email):
        raise Conflict("user", changes.email)
    update(session, "users", str(current_user.id), changes.model_dump(exclude_unset=True))
    return dict(find_user(session, id=str(current_user.id)))


@router.patch("/me/password")
def update_password(session: SessionDep, current_user: CurrentUser, body: UpdatePassword) -> Message:
    """Change one's password."""
    user = find_user(session, id=str(current_user.id))
    if not verify_password(body.current_password, user["password"]):
        raise HTTPException(status_code=400, detail="Incorrect password")
    if body.current_password == body.new_password:
        raise HTTPException(status_code=400, detail="New password cannot be the same as the current one")
    update(session, "users", user["id"], {"password": hash_password(body.new_password)})
    return Message(message="Password updated successfully")


@router.delete("/me")
def delete_me(session: SessionDep, current_user: CurrentUser) -> Message:
    """Delete oneself, and all one's items."""
    if current_user.is_superuser:
        raise HTTPException(status_code=403, detail="Super users are not allowed to delete themselves")
    session.execute("delete from users where id = ?", (str(current_user.id),))
    return Message(message="User deleted successfully")


@router.get("/", dependencies=for_superusers, response_model=Page[UserPublic])
def read_users(session: SessionDep, paging: PagingDep) -> object:
    """Everybody."""
    [count] = session.execute("select count(*) from users").fetchone()
    rows = session.execute(
        "select * from users order by created_at, id limit ? offset ?", (paging.limit, paging.skip)
    ).fetchall()
    return {"data": [dict(row) for row in rows], "count": count}


@router.post("/", dependencies=for_superusers, response_model=UserPublic, status_code=201)
def create_user(session: SessionDep, user: UserCreate) -> object:
    """Make a user."""
    return insert(session, user)


@router.get("/{user_id}", response_model=UserPublic, response_model_exclude={"created_at"})
def read_user(session: SessionDep, user_id: uuid.UUID, current_user: CurrentUser) -> object:
    """Oneself, or for a superuser anybody."""
    if user_id != current_user.id and not current_user.is_superuser:
        raise HTTPException(status_code=403, detail="The user doesn't have enough privileges")
    user = find_user(session, id=str(user_id))
    if user is None:
        raise HTTPException(status_code=404, detail="User not found")
    return dict(user)


@router.patch("/{user_id}", dependencies=for_superusers, response_model=UserPublic)
def update_user(session: SessionDep, user_id: uuid.UUID, changes: UserUpdate) -> object:
    """Change a user."""
    if find_user(session, id=str(user_id)) is None:
        raise HTTPException(status_code=404, detail="The user with this id does not exist in the system")
    values = changes.model_dump(exclude_unset=True)
    if password := values.pop("password", None):
        values["password"] = hash_password(password)
    update(session, "users", str(user_id), values)
    return dict(find_user(session, id=str(user_id)))


@router.delete("/{user_id}", dependencies=for_superusers, status_code=status.HTTP_204_NO_CONTENT)
def delete_user(session: SessionDep, current_user: CurrentUser, user_id: uuid.UUID) -> None:
    """Delete a user."""
    if user_id == current_user.id:
        raise HTTPException(status_code=403, detail="Super users are not allowed to delete themselves")
    if session.execute("delete from users where id = ?", (str(user_id),)).rowcount == 0:
        raise HTTPException(status_code=404, detail="User not found")
