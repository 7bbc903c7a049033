"""The tasks of the flows: thin, each one call of the pipeline's protocol."""
