"""What the application beside this file runs: an order that is approved, or given up."""

from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    """From payment to parcel."""

    async def run(self, event, step):
        """Return what was charged, and for whom."""
        order = event["payload"]

        @step.do("charge")
        async def charge(ctx):
            # A payment service is given the key, so that an attempt that was lost does not charge twice.
            return {"item": order["item"], "charge": ctx["idempotency_key"][:8]}

        charged = await charge()
        approval = await step.wait_for_event("approval", "approved", timeout="7 days")
        return {**charged, "approved_by": approval["payload"]["by"]}
