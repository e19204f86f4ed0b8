"""The rules: history in, decisions out. No clock, no socket, no database, no asyncio."""
