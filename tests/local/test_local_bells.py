"""Bells: a ring wakes those who listen for it, from any thread, and none is missed."""

import asyncio
import math

from valar_batch.local.state.bells import Bells


def test_a_ring_from_another_thread_wakes():
    """A wait without end is ended by a ring."""

    async def listen():
        bells = Bells()
        with bells.listen("a") as bell:
            waiting = asyncio.create_task(bell.wait(math.inf))
            await asyncio.to_thread(bells.ring, "b")
            assert not waiting.done()
            await asyncio.to_thread(bells.ring, "a")
            await waiting

    asyncio.run(listen())


def test_a_ring_before_the_wait_is_not_missed():
    """Whatever rang since the last wait ends the next, once."""

    async def listen():
        bells = Bells()
        bells.ring("a")
        with bells.listen("a") as one, bells.listen("a") as other:
            await one.wait(0)
            bells.ring("a")
            await one.wait(math.inf)
            await other.wait(math.inf)
            second = asyncio.create_task(one.wait(math.inf))
            await asyncio.sleep(0.01)
            assert not second.done()
            second.cancel()

    asyncio.run(listen())
