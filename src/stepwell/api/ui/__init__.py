"""What the dashboard asks beside Cloudflare's routes. Private: it changes with the pages, and nothing describes it."""
