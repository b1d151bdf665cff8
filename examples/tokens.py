"""The tokens of a (fake) language model, as OpenAI's clients read them: JSON lines, ended by `data: [DONE]`.

    turboapi run examples.tokens:app
    curl -N localhost:8000/v1/chat/completions -H 'content-type: application/json' \\
        -d '{"model": "fake", "stream": true, "messages": [{"role": "user", "content": "Hello there"}]}'
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel
from turboapi_rs import TurboAPI
from turboapi_rs.sse import TokenStream

app = TurboAPI()

TOKENS_PER_SECOND = 50


class Message(BaseModel):
    """One message of a conversation."""

    role: str
    content: str


class Chat(BaseModel):
    """What a client asks."""

    model: str = "fake"
    messages: list[Message]
    stream: bool = True


async def think(prompt: str) -> AsyncIterator[str]:
    """Give the prompt back, word by word. When the client leaves, the `finally` of a real model would stop its work."""
    for word in f"You said: {prompt}".split():
        yield word + " "
        await asyncio.sleep(1 / TOKENS_PER_SECOND)


@app.post("/v1/chat/completions")
async def complete(chat: Chat):
    """Stream the answer, or give it whole."""
    tokens = think(chat.messages[-1].content)
    if chat.stream:
        return TokenStream(tokens, model=chat.model)
    text = "".join([token async for token in tokens])
    return {"model": chat.model, "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
