"""Fan out and in: four prices are asked for at the same time, then the best one is taken.

stepwell dev examples/fanout.py
"""

import asyncio

from stepwell import WorkflowEntrypoint

PRICES = {"north": 1290, "east": 1180, "south": 1340, "west": 1210}


async def ask(shop):
    """Ask a shop for its price; a real one is asked over the network."""
    await asyncio.sleep(0)
    return PRICES[shop]


class FanOut(WorkflowEntrypoint):
    """Dependencies by parameter name: `best` runs after the four, which run at the same time."""

    async def run(self, event, step):
        """Return the best offer, and what the prices would be in bulk."""

        @step.do()
        async def north():
            return await ask("north")

        @step.do()
        async def east():
            return await ask("east")

        @step.do()
        async def south():
            return await ask("south")

        @step.do()
        async def west():
            return await ask("west")

        @step.do("best", concurrent=True)
        def best(north, east, south, west):
            offers = {"north": north, "east": east, "south": south, "west": west}
            shop = min(offers, key=lambda name: offers[name])
            return {"shop": shop, "cents": offers[shop]}

        offer = await best()

        async def in_bulk(pieces):
            @step.do(f"price for {pieces}")
            def price():
                return offer["cents"] * pieces * (100 - min(pieces, 20)) // 100

            return await price()

        return {**offer, "bulk": await asyncio.gather(*(in_bulk(pieces) for pieces in (1, 10, 100)))}
