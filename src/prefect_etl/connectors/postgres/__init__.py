"""PostgreSQL: as source, as destination, and as the place of transformations."""
