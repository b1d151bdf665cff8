"""Password hashes and signed tokens, with the standard library alone."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

SCRYPT = {"n": 2**12, "r": 8, "p": 1}
HEADER = {"alg": "HS256", "typ": "JWT"}


def hash_password(password: str) -> str:
    """Salt and hash, to be stored."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **SCRYPT).hex()}"


def verify_password(password: str, stored: str) -> bool:
    """True if it is the password that was hashed."""
    salt, _, hashed = stored.partition("$")
    made = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **SCRYPT)
    return hmac.compare_digest(made.hex(), hashed)


class InvalidToken(ValueError):
    """A token that was not signed here, or is not valid any more."""


def create_token(subject: str, key: str, *, seconds: int) -> str:
    """A JSON Web Token."""
    claims = {"sub": subject, "exp": int(time.time()) + seconds}
    signed = f"{_encode(json.dumps(HEADER).encode())}.{_encode(json.dumps(claims).encode())}"
    return f"{signed}.{_encode(_signature(signed, key))}"


def read_token(token: str, key: str) -> str:
    """The subject of a token.

    Raises:
        InvalidToken: see there.
    """
    try:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_signature(signed, key), _decode(signature)):
            raise InvalidToken("signature")
        claims: dict[str, Any] = json.loads(_decode(signed.partition(".")[2]))
        if claims["exp"] < time.time():
            raise InvalidToken("expired")
        return str(claims["sub"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidToken(str(error)) from None


def _signature(signed: str, key: str) -> bytes:
    return hmac.digest(key.encode(), signed.encode(), "sha256")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
