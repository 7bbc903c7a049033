"""All that extends Prefect: the decorators and the shared local server."""
