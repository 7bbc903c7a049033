-- How punctual each airline is. $late_minutes comes from pipeline.yaml.
SELECT
    airline,
    count(*)                                        AS flights,
    count(*) FILTER (cancelled)                     AS cancelled,
    round(avg(dep_delay), 1)                        AS mean_delay_minutes,
    median(dep_delay)                               AS median_delay_minutes,
    round(avg((dep_delay > $late_minutes)::INT), 3) AS late_share
FROM departures
GROUP BY airline
ORDER BY late_share DESC
