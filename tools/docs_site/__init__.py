"""The docs as a folder of pages that needs no server and no network: `make docs`."""
