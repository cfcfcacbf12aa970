"""The HTTP API: scripts use exactly what the pages use."""
