"""Items, and their files."""

import csv
import io
import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, File, Form, HTTPException, Query, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

from ..database import now, update
from ..dependencies import CurrentUser, PagingDep, SessionDep, SettingsDep
from ..models import Attachment, ItemCreate, ItemPublic, ItemUpdate, Message, Page, UserPublic

router = APIRouter(prefix="/items", tags=["items"])


def stored(item: ItemCreate | ItemUpdate) -> dict[str, object]:
    """The columns of an item that were given."""
    values = item.model_dump(exclude_unset=isinstance(item, ItemUpdate), exclude_none=isinstance(item, ItemUpdate))
    return {
        name: json.dumps(value) if name == "tags" else str(value) if name == "price" else value
        for name, value in values.items()
    }


def visible(user: UserPublic) -> tuple[str, tuple[str, ...]]:
    """A condition for the rows that a user may see, and its values."""
    return ("1", ()) if user.is_superuser else ("owner_id = ?", (str(user.id),))


def get_item(session: SessionDep, current_user: CurrentUser, item_id: uuid.UUID) -> sqlite3.Row:
    """The item of the path, if it is the user's."""
    item = session.execute("select * from items where id = ?", (str(item_id),)).fetchone()
    if item is None:
        raise HTTPException(status_code=404, detail="Item not found")
    if not current_user.is_superuser and item["owner_id"] != str(current_user.id):
        raise HTTPException(status_code=400, detail="Not enough permissions")
    return item


ItemDep = Annotated[sqlite3.Row, Depends(get_item)]


@router.get("/", response_model=Page[ItemPublic])
def read_items(
    session: SessionDep,
    current_user: CurrentUser,
    paging: PagingDep,
    response: Response,
    order: Annotated[Literal["title", "price"], Query()] = "title",
    tag: Annotated[list[str] | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=50)] = None,
) -> object:
    """The user's items, or for a superuser everybody's."""
    where, values = visible(current_user)
    if q is not None:
        where, values = f"{where} and title like ?", (*values, f"%{q}%")
    for name in tag or []:
        where, values = f"{where} and tags like ?", (*values, f'%"{name}"%')
    [count] = session.execute(f"select count(*) from items where {where}", values).fetchone()
    column = "cast(price as real)" if order == "price" else "title"
    rows = session.execute(
        f"select * from items where {where} order by {column}, title limit ? offset ?",
        (*values, paging.limit, paging.skip),
    ).fetchall()
    response.headers["X-Total-Count"] = str(count)
    return {"data": [dict(row) for row in rows], "count": count}


@router.get("/export.csv", response_class=StreamingResponse)
def export(session: SessionDep, current_user: CurrentUser) -> StreamingResponse:
    """The user's items as a table, a line at a time."""
    where, values = visible(current_user)
    rows = session.execute(f"select title, price, tags from items where {where} order by title", values).fetchall()

    def lines() -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for row in [
            ("title", "price", "tags"),
            *((r["title"], r["price"], " ".join(json.loads(r["tags"]))) for r in rows),
        ]:
            writer.writerow(row)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()

    headers = {"content-disposition": 'attachment; filename="items.csv"'}
    return StreamingResponse(lines(), media_type="text/csv", headers=headers)


@router.post("/", response_model=ItemPublic, status_code=201)
def create_item(session: SessionDep, current_user: CurrentUser, item: ItemCreate, response: Response) -> object:
    """Make an item."""
    values = {"id": str(uuid.uuid4()), "owner_id": str(current_user.id), "created_at": now(), **stored(item)}
    names = ", ".join(values)
    session.execute(f"insert into items ({names}) values ({', '.join('?' * len(values))})", tuple(values.values()))
    response.headers["Location"] = f"/api/v1/items/{values['id']}"
    return values


@router.get("/{item_id}", response_model=ItemPublic)
def read_item(item: ItemDep) -> object:
    """One item."""
    return dict(item)


@router.put("/{item_id}", response_model=ItemPublic)
def update_item(session: SessionDep, item: ItemDep, changes: ItemUpdate) -> object:
    """Change an item."""
    values = stored(changes)
    update(session, "items", item["id"], values)
    return {**dict(item), **values}


@router.delete("/{item_id}")
def delete_item(session: SessionDep, settings: SettingsDep, item: ItemDep) -> Message:
    """Delete an item, and its file."""
    session.execute("delete from items where id = ?", (item["id"],))
    (settings.uploads / item["id"]).unlink(missing_ok=True)
    return Message(message="Item deleted successfully")


@router.post("/{item_id}/attachment", status_code=201)
async def attach(
    item: ItemDep,
    settings: SettingsDep,
    file: Annotated[UploadFile, File(description="At most 1 MiB")],
    note: Annotated[str | None, Form(max_length=20)] = None,
) -> Attachment:
    """Keep a file with an item."""
    content = await file.read(settings.max_upload_bytes + 1)
    if len(content) > settings.max_upload_bytes:
        raise HTTPException(status_code=413, detail="File too large")
    (settings.uploads / item["id"]).write_bytes(content)
    return Attachment(filename=file.filename or note or "file", content_type=file.content_type, size=len(content))


@router.get("/{item_id}/attachment", response_class=FileResponse)
def download(item: ItemDep, settings: SettingsDep) -> FileResponse:
    """The file of an item."""
    path = settings.uploads / item["id"]
    if not path.exists():
        raise HTTPException(status_code=404, detail="No attachment")
    return FileResponse(path, media_type="application/octet-stream", filename=f"{item['title']}.bin")
