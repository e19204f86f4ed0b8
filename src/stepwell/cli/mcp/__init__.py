"""`stepwell mcp`: what models may ask of a server, as tools of the Model Context Protocol.

`serving.py` speaks the protocol, by its official SDK; `reading.py` and `controlling.py` have the tools, each a method
whose name, docstring and types are what models are told of it; `texts.py` keeps answers small and harmless,
`remedies.py` says what helps. All of it asks the API, as any command does: what the token may do is what a model may.
"""
