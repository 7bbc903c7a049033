-- Every flight that was planned, with its airline, plane, destination and the weather at departure.
SELECT
    f.carrier,
    f.flight,
    f.origin,
    f.time_hour,
    make_date(f.year, f.month, f.day) AS day,
    a.name                            AS airline,
    f.dest,
    d.name                            AS destination,
    f.distance,
    f.dep_time IS NULL                AS cancelled,
    f.dep_delay,
    f.arr_delay,
    f.tailnum,
    f.year - p.year                   AS plane_age,
    w.temperature,
    w.wind_speed,
    w.visibility
FROM flights AS f
LEFT JOIN airlines AS a ON a.carrier = f.carrier
LEFT JOIN airports AS d ON d.faa = f.dest
LEFT JOIN planes   AS p ON p.tailnum = f.tailnum
LEFT JOIN weather  AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
