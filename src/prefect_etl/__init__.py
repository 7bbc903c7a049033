"""ETL on Prefect 3: exactly-once, fast, observable, and still plain Prefect to read."""
