"""The exactly-once protocol, without Prefect: from the pipeline file to published tables."""
