"""The workflows that are measured: their steps do nothing, so what is left is the engine."""

from stepwell import WorkflowEntrypoint


class Steps(WorkflowEntrypoint):
    """As many sequential steps as asked for."""

    async def run(self, event, step):
        """Return the sum of what the steps returned."""
        total = 0
        for number in range(event["payload"]["steps"]):

            @step.do("work")
            async def work():
                return number

            total += await work()
        return total
