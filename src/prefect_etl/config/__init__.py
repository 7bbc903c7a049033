"""Settings and logging: values that the command line, the flows and the API read."""
