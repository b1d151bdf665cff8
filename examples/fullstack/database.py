"""SQLite: the schema, connections, and the few queries that the routes share."""

import sqlite3
import uuid
from datetime import UTC, datetime

from .security import hash_password
from .settings import Settings

SCHEMA = """
create table if not exists users (
    id text primary key,
    email text not null unique,
    full_name text,
    password text not null,
    is_active integer not null default 1,
    is_superuser integer not null default 0,
    created_at text not null
);
create table if not exists items (
    id text primary key,
    owner_id text not null references users (id) on delete cascade,
    title text not null,
    description text,
    price text not null,
    tags text not null,
    created_at text not null
);
create table if not exists outbox (
    id integer primary key,
    recipient text not null,
    subject text not null
);
"""


def connect(settings: Settings) -> sqlite3.Connection:
    """A connection for one request, which may be closed on another thread than the one that opened it."""
    connection = sqlite3.connect(settings.database, timeout=30, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma foreign_keys = on")
    return connection


def prepare(settings: Settings) -> None:
    """Makes the folders, the tables and the first superuser."""
    settings.uploads.mkdir(parents=True, exist_ok=True)
    connection = connect(settings)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(SCHEMA)
        if not find_user(connection, email=settings.first_superuser):
            add_user(connection, settings.first_superuser, settings.first_superuser_password, is_superuser=True)
        connection.commit()
    finally:
        connection.close()


def find_user(connection: sqlite3.Connection, **by: str) -> sqlite3.Row | None:
    """The user with that `id` or `email`."""
    [(column, value)] = by.items()
    return connection.execute(f"select * from users where {column} = ?", (value,)).fetchone()


def add_user(
    connection: sqlite3.Connection,
    email: str,
    password: str,
    *,
    full_name: str | None = None,
    is_active: bool = True,
    is_superuser: bool = False,
) -> str:
    """Inserts a user, and gives its id."""
    user_id = str(uuid.uuid4())
    connection.execute(
        "insert into users values (?, ?, ?, ?, ?, ?, ?)",
        (user_id, email, full_name, hash_password(password), is_active, is_superuser, now()),
    )
    return user_id


def update(connection: sqlite3.Connection, table: str, row_id: str, values: dict[str, object]) -> None:
    """Changes columns of one row."""
    if values:
        columns = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"update {table} set {columns} where id = ?", (*values.values(), row_id))


def now() -> str:
    """The time, as it is stored."""
    return datetime.now(UTC).isoformat()
