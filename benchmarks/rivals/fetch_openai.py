"""The openai client as a guide would show it: AsyncOpenAI, a semaphore, a task for each result.

python -m benchmarks.rivals.fetch_openai BASE_URL ROWS CONNECTIONS
"""

from __future__ import annotations

import asyncio
import sys

from openai import AsyncOpenAI
from openai.types.responses import Response

from benchmarks.origin import PATH, answer_text, custom_ids
from benchmarks.timed import timed


async def fetch(base_url: str, rows: int, connections: int) -> None:
    """Fetch all, and throw them away."""
    semaphore = asyncio.Semaphore(connections)

    async def one(client: AsyncOpenAI, custom_id: str) -> bool:
        async with semaphore:
            response = await client.get(f"/{PATH}/{custom_id}", cast_to=Response)
            return response.output_text == answer_text(custom_id)

    async with AsyncOpenAI(base_url=base_url, api_key="sk-benchmark") as client:
        with timed(rows) as facts:
            found = await asyncio.gather(*(one(client, name) for name in custom_ids(rows)))
            facts["right"] = sum(found)


if __name__ == "__main__":
    asyncio.run(fetch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
