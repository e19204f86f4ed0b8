"""Agents of other libraries as workflows: what each asks of a model, and each tool that it calls, is a step.

`stepwell.agents.pydantic_ai` is for Pydantic AI, `stepwell.agents.openai_agents` for OpenAI's Agents SDK. Neither is
loaded before somebody imports it, and each needs the extra of its name.
"""

from stepwell.agents.shared import current_step

__all__ = ["current_step"]
