"""The figures that prefect_etl promises, measured beside their floor and their peer."""
