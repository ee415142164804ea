"""httpx: one AsyncClient with its default limits, as its documentation has it under Async Support.

python -m benchmarks.rivals.fetch_httpx BASE_URL ROWS CONNECTIONS
"""

from __future__ import annotations

import asyncio
import sys

import httpx

from benchmarks.origin import PATH, custom_ids, is_right
from benchmarks.timed import timed


async def fetch(base_url: str, rows: int, connections: int) -> None:
    """Fetch all, and throw them away."""
    left = iter(custom_ids(rows))
    right = 0

    async def work(client: httpx.AsyncClient) -> None:
        nonlocal right
        for custom_id in left:
            response = await client.get(f"{base_url}/{PATH}/{custom_id}")
            right += is_right(custom_id, response.content)

    async with httpx.AsyncClient() as client:
        with timed(rows) as facts:
            await asyncio.gather(*(work(client) for _ in range(connections)))
            facts["right"] = right


if __name__ == "__main__":
    asyncio.run(fetch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
