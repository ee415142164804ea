"""aiohttp: one session and a connector with a limit, as its documentation advises.

python -m benchmarks.rivals.fetch_aiohttp BASE_URL ROWS CONNECTIONS
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys

import aiohttp

from benchmarks.origin import PATH, custom_ids, is_right
from benchmarks.timed import timed


async def fetch(base_url: str, rows: int, connections: int) -> None:
    """Fetch all, and throw them away."""
    left = iter(custom_ids(rows))
    right = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal right
        for custom_id in left:
            async with session.get(f"{base_url}/{PATH}/{custom_id}") as response:
                right += is_right(custom_id, await response.read())

    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        with timed(rows) as facts:
            await asyncio.gather(*(work(session) for _ in range(connections)))
            facts["right"] = right


if __name__ == "__main__":
    asyncio.run(fetch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
