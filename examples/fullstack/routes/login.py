"""Tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm

from ..database import find_user
from ..dependencies import CurrentUser, SessionDep, SettingsDep
from ..models import Token, UserPublic
from ..security import create_token, verify_password

router = APIRouter(prefix="/login", tags=["login"])


@router.post("/access-token")
def login(session: SessionDep, settings: SettingsDep, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    """OAuth2 compatible: an access token for later requests."""
    user = find_user(session, email=form.username)
    if user is None or not verify_password(form.password, user["password"]):
        raise HTTPException(status_code=400, detail="Incorrect email or password")
    if not user["is_active"]:
        raise HTTPException(status_code=400, detail="Inactive user")
    return Token(access_token=create_token(user["id"], settings.secret_key, seconds=settings.token_minutes * 60))


@router.post("/test-token", response_model=UserPublic)
def test_token(current_user: CurrentUser) -> object:
    """Who the token belongs to."""
    return current_user
