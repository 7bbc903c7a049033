"""Transformations in Python: a parameter named as a table gets that table."""

import pandas as pd


def daily_delays(departures: pd.DataFrame) -> pd.DataFrame:
    """Departures of each airport and day, and the mean delay over the last seven days."""
    days = (
        departures.groupby(["origin", "day"])
        .agg(
            flights=("flight", "size"),
            cancelled=("cancelled", "sum"),
            mean_delay=("dep_delay", "mean"),
        )
        .reset_index()
        .sort_values(["origin", "day"])
    )
    week = days.groupby("origin")["mean_delay"].rolling(7, min_periods=1).mean()
    days["mean_delay_7_days"] = week.reset_index(level="origin", drop=True)
    return days
