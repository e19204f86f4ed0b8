"""The pages for people: their files, and the document that brings them into a browser. What they ask is in `api`."""
