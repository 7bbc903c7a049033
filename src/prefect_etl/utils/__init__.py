"""What users call inside their own flows and tasks; knows nothing of Prefect."""
