"""Health, and mail."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends
from pydantic import EmailStr

from ..database import connect
from ..dependencies import SessionDep, SettingsDep, get_current_superuser
from ..models import Message, Page
from ..settings import Settings

router = APIRouter(prefix="/utils", tags=["utils"])


def send_email(settings: Settings, recipient: str, subject: str) -> None:
    """Would talk to a mail server. Here the outbox is a table."""
    connection = connect(settings)
    try:
        connection.execute("insert into outbox (recipient, subject) values (?, ?)", (recipient, subject))
        connection.commit()
    finally:
        connection.close()


@router.post("/test-email/", dependencies=[Depends(get_current_superuser)], status_code=202)
def test_email(email_to: EmailStr, background: BackgroundTasks, settings: SettingsDep) -> Message:
    """Send mail, after the answer."""
    background.add_task(send_email, settings, email_to, "Test email")
    return Message(message="Test email sent")


@router.get("/outbox/", dependencies=[Depends(get_current_superuser)])
def outbox(session: SessionDep) -> Page[dict[str, str]]:
    """What was sent."""
    rows = [dict(row) for row in session.execute("select recipient, subject from outbox order by id")]
    return Page(data=rows, count=len(rows))


@router.get("/health-check/")
async def health_check() -> bool:
    """True."""
    return True


@router.get("/divide/", include_in_schema=False)
def divide(a: int, b: Annotated[int, "not checked, on purpose"]) -> float:
    """Fails for 0: a bug of the application."""
    return a / b
