"""What goes in and out."""

import json
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints, computed_field, field_validator

Password = Annotated[str, StringConstraints(min_length=8, max_length=40)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z]+$", max_length=20)]


class Message(BaseModel):
    """Something to say."""

    message: str


class Token(BaseModel):
    """What a login gives."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"


class UserBase(BaseModel):
    """What every user has."""

    email: EmailStr = Field(max_length=255)
    full_name: str | None = Field(default=None, max_length=255)


class UserRegister(UserBase):
    """A user who registers."""

    password: Password


class UserCreate(UserRegister):
    """A user whom a superuser makes."""

    is_active: bool = True
    is_superuser: bool = False


class UserUpdate(BaseModel):
    """What a superuser may change."""

    email: EmailStr | None = None
    full_name: str | None = None
    password: Password | None = None
    is_active: bool | None = None
    is_superuser: bool | None = None


class UserUpdateMe(BaseModel):
    """What users may change of themselves."""

    model_config = ConfigDict(extra="forbid")

    email: EmailStr | None = None
    full_name: str | None = None


class UpdatePassword(BaseModel):
    """A new password, by who knows the old one."""

    current_password: Password
    new_password: Password


class UserPublic(UserBase):
    """What others see of a user: not the password."""

    id: uuid.UUID
    is_active: bool
    is_superuser: bool
    created_at: datetime


class Page[Row](BaseModel):
    """Some rows of many."""

    data: list[Row]
    count: int


class ItemBase(BaseModel):
    """What every item has."""

    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=1000)
    price: Decimal = Field(default=Decimal("0"), ge=0, max_digits=10, decimal_places=2)
    tags: list[Tag] = Field(default=[], max_length=5)


class ItemCreate(ItemBase):
    """A new item."""


class ItemUpdate(BaseModel):
    """What may be changed of an item."""

    title: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = None
    price: Decimal | None = Field(default=None, ge=0, max_digits=10, decimal_places=2)
    tags: list[Tag] | None = None


class ItemPublic(ItemBase):
    """An item as it is sent."""

    id: uuid.UUID
    owner_id: uuid.UUID
    created_at: datetime

    @field_validator("tags", mode="before")
    @classmethod
    def _stored_tags(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @computed_field
    @property
    def slug(self) -> str:
        """The title, for addresses."""
        return "-".join(self.title.lower().split())


class Attachment(BaseModel):
    """A file that was kept."""

    filename: str
    content_type: str | None
    size: int
