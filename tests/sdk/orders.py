"""What the servers run that the clients are tested against."""

from stepwell import NonRetryableError, WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    """Charges, films, and waits for an approval."""

    schedules = ("0 9 * * *",)

    async def run(self, event, step):
        """Return what was approved."""

        def refund():
            return None

        @step.do(rollback=refund)
        async def charge(ctx):
            ctx.set_attributes({"cents": 1_200, "bank": "mine"})
            return {"charged": event["payload"]}

        @step.do
        async def film():
            async def parts():
                yield b"\x00abc"
                yield bytes(100_000)

            return parts()

        print("an order came")
        await step.set_progress({"charged": False})
        await charge()
        await film()
        approval = await step.wait_for_event("approval", "approved")
        return approval["payload"]


class Failing(WorkflowEntrypoint):
    """Fails at its second attempt, for good."""

    async def run(self, event, step):
        """Raise an error."""

        @step.do(config={"retries": {"limit": 1, "delay": 1}})
        async def charge(ctx):
            if ctx["attempt"] == 1:
                raise ValueError("the bank is closed")
            raise NonRetryableError("the card was refused")

        await charge()
