"""The workflows of the model's account: all do what the program says that their params name."""

from stepwell import Flow
from tests.engine.oracle import PROGRAMS, Player
from tests.model.instance import FIRED


class Plain(Player):
    """Runs as many instances as there are."""

    async def run(self, event, step):
        self._place = (event["workflowName"], event["instanceId"])
        return await super().run(event, step)

    def _program(self, params):
        return PROGRAMS[params or FIRED]

    def _gate(self, instance):
        return self.env.GATES[self._place]

    def _begins(self, instance, name):
        pass


class Narrow(Plain):
    """Runs one instance at a time."""

    flow = Flow(limit=1)


class Hourly(Plain):
    """Has instances made by a schedule."""

    schedules = "0 */6 * * *"


class Foreign(Plain):
    """Is of another script."""
