"""The raw zone and all else that is kept on disk: durable, atomic, swept."""
