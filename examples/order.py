"""An order: charge a card that declines twice, let the payment settle, wait for approval, ship.

stepwell dev examples/order.py
"""

from stepwell import NonRetryableError, WorkflowEntrypoint


class PaymentDeclined(Exception):
    """The bank said no; it may say yes in a second."""


class Bank:
    """Stands in for a payment service: it declines an order's first two attempts.

    A real one is asked over the network and given the idempotency key, so that an attempt that was lost after the
    money moved does not move it again.
    """

    declines = 2

    async def charge(self, cents, attempt, idempotency_key):
        """Charge an amount, once per idempotency key."""
        if attempt <= self.declines:
            raise PaymentDeclined(f"declined, try again ({attempt})")
        return {"charge": f"ch_{idempotency_key[:8]}", "cents": cents}


class Order(WorkflowEntrypoint):
    """From payment to parcel."""

    async def run(self, event, step):
        """Return what was charged and shipped."""
        order = event["payload"]

        @step.do("check")
        def check():
            cents = order.get("cents", 0)
            if not isinstance(cents, int) or cents <= 0:
                raise NonRetryableError("an order needs `cents`, a whole number above 0")
            return cents

        @step.do("charge", config={"retries": {"limit": 5, "delay": "1 second", "backoff": "constant"}})
        async def charge(check, ctx):
            return await Bank().charge(check, ctx["attempt"], ctx["idempotency_key"])

        payment = await charge()
        await step.sleep("let the payment settle", "3 seconds")
        approval = await step.wait_for_event("approval", "approved", timeout="7 days")

        @step.do("ship")
        def ship(ctx):
            return {"parcel": f"pa_{ctx['idempotency_key'][:8]}"}

        return {**payment, **await ship(), "approved_by": approval["payload"].get("by", "somebody")}
