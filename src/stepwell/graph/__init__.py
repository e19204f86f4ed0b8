"""The graph of a workflow's code: found in its source, drawn, and laid over what an instance has done."""
