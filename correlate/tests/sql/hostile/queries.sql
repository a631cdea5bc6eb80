-- One query a line. What stands between braces is in `queries.rs`.
SELECT count(DISTINCT a.value + b.value) FROM {pairs}
SELECT count(DISTINCT a.ts) FROM {pairs}
SELECT count(DISTINCT a.series_id % 2) FROM {pairs}
SELECT count(*) FROM {pairs}
SELECT sum(a.value * b.value) FROM {pairs}
SELECT array_agg(a.value) FROM {pairs}
SELECT string_agg(a.value::text, ',') FROM {pairs}
SELECT median(a.value) FROM {pairs}
SELECT approx_distinct(a.value::text || b.value::text) FROM {pairs}
SELECT approx_median(a.value) FROM {pairs}
SELECT percentile_cont(a.value, 0.5) FROM {pairs}
SELECT first_value(a.value ORDER BY b.value) FROM {pairs}
SELECT corr(a.value, b.value) FROM {pairs}
SELECT stddev(a.value) FROM {pairs}
SELECT array_agg(DISTINCT a.value) FROM {pairs}
SELECT array_agg(a.value ORDER BY b.value) FROM {pairs}
SELECT nth_value(a.value, 3 ORDER BY b.value) FROM {pairs}
SELECT max(a.value::text || b.value::text) FROM {pairs}
SELECT bool_and(a.value > 0) FROM {pairs}
SELECT sum(DISTINCT a.value) FROM {pairs}
SELECT string_agg(DISTINCT a.value::text, ',' ) FROM {pairs}
SELECT count(*) FROM (SELECT DISTINCT a.ts, b.ts FROM {pairs}) x
SELECT a.series_id, count(DISTINCT b.value) FROM {pairs} GROUP BY 1
SELECT a.series_id, b.series_id, count(*) FROM {pairs} GROUP BY 1, 2
SELECT a.series_id, b.series_id, count(*) FROM {pairs} GROUP BY CUBE (a.series_id, b.series_id)
SELECT a.value, b.value FROM {pairs} ORDER BY a.value + b.value LIMIT 10
SELECT a.value, b.value FROM {pairs} ORDER BY 1, 2
SELECT a.value, b.value FROM {pairs} LIMIT 10 OFFSET 1000000000
SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY a.value) AS n FROM {pairs}) x
SELECT count(*) FROM (SELECT row_number() OVER () AS n FROM {pairs}) x
SELECT max(n) FROM (SELECT sum(a.value) OVER (ORDER BY a.ts ROWS 100000 PRECEDING) AS n FROM {pairs}) x
SELECT max(n) FROM (SELECT max(a.value) OVER (ORDER BY a.ts RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS n FROM {pairs}) x
SELECT count(*) FROM ({pairs_of} INTERSECT {pairs_of}) x
SELECT count(*) FROM ({pairs_of} EXCEPT {pairs_of}) x
SELECT count(*) FROM ({pairs_of} UNION {pairs_of}) x
EXPLAIN ANALYZE SELECT count(DISTINCT a.value) FROM {pairs}
SELECT count(u) FROM (SELECT unnest(x) AS u FROM (SELECT array_agg(a.value) AS x FROM {pairs}) y) z
SELECT count(*) FROM {pairs} WHERE a.value + b.value < -1
SELECT count(*) FROM {pairs} WHERE EXISTS (SELECT 1 FROM logs WHERE length(line) = a.value + b.value)
SELECT count(*) FROM {pairs} WHERE a.value::text LIKE '%1%2%3%'
SELECT count(*) FROM samples a ASOF JOIN (SELECT * FROM {pairs_b}) s MATCH_CONDITION (a.ts >= s.ts) ON s.series_id = a.series_id
SELECT count(*) FROM samples a, samples b, samples c
SELECT count(DISTINCT a.value) FROM samples a, samples b, samples c
SELECT count(*) FROM samples a, samples b WHERE b.ts BETWEEN a.ts - INTERVAL '1 hour' AND a.ts + INTERVAL '1 hour'
SELECT count(DISTINCT a.value) FROM samples a, samples b WHERE b.ts BETWEEN a.ts - INTERVAL '1 hour' AND a.ts + INTERVAL '1 hour'
SELECT a.series_id, sum(b.value) FROM samples a, samples b WHERE b.ts BETWEEN a.ts - INTERVAL '1 hour' AND a.ts + INTERVAL '1 hour' GROUP BY 1
SELECT count(DISTINCT l.line) FROM logs l, samples b WHERE b.ts BETWEEN l.ts - INTERVAL '1 hour' AND l.ts + INTERVAL '1 hour'
SELECT count(DISTINCT l.line || m.line) FROM logs l, logs m
SELECT l.line FROM logs l, logs m ORDER BY m.line || l.line LIMIT 3
SELECT count(*) FROM logs l, logs m WHERE l.line LIKE '%' || m.pod || '%'
SELECT count(*) FROM logs l LEFT JOIN logs m ON l.line < m.line
SELECT count(*) FROM logs l FULL JOIN logs m ON l.line < m.line
SELECT count(*) FROM logs l FULL JOIN logs m ON l.pod = m.pod
SELECT max(x) FROM (SELECT lead(l.line) OVER (ORDER BY m.line) AS x FROM logs l, logs m) y
SELECT max(line) FROM logs ORDER BY max(line)
SELECT line FROM logs ORDER BY line DESC
SELECT array_agg(line) FROM logs
SELECT string_agg(line, ',') FROM logs
SELECT pod, array_agg(line ORDER BY ts DESC) FROM logs GROUP BY pod
SELECT array_agg(DISTINCT line) FROM logs
SELECT array_agg(a) FROM (SELECT array_agg(line) AS a FROM logs GROUP BY pod) x
SELECT count(*) FROM logs WHERE line ~ '(a*)*b'
SELECT count(*) FROM logs WHERE line ~ '(a|aa)+$'
SELECT count(*) FROM logs WHERE line ~ 'a.{0,200}a.{0,200}b'
SELECT count(*) FROM logs WHERE line ~* '(x+x+)+y'
SELECT sum(regexp_count(line, 'a{1,50}b|a')) FROM logs
SELECT sum(regexp_count(line, '[a-z]*[a-z]*[0-9]')) FROM logs
SELECT max(regexp_replace(line, 'a', 'bbbbbbbbbb', 'g')) FROM logs
SELECT max(regexp_replace(line, '(a*?)', '\1\1\1', 'g')) FROM logs
SELECT max(length(replace(replace(replace(line, 'a', 'aaaa'), 'a', 'aaaa'), 'a', 'aaaa'))) FROM logs
SELECT max(length(concat(line, line, line, line, line, line, line, line))) FROM logs
SELECT max(translate(line, 'a', 'ΐ')) FROM logs
SELECT max(initcap(reverse(upper(lower(line))))) FROM logs
SELECT max(strpos(line, left(line, 20000) || 'b')) FROM logs
SELECT max(substr_index(line, 'a', 40000)) FROM logs
SELECT max(find_in_set('b', line)) FROM logs
SELECT max(split_part(line, 'a', 40000)) FROM logs
SELECT count(*) FROM logs WHERE contains(line, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')
SELECT max(line || line || line || line || line || line || line || line || line || line) FROM logs
SELECT btrim(line, 'a') FROM logs WHERE pod = 'long'
SELECT max(CASE WHEN line LIKE '%a%b' THEN line || 'x' WHEN line LIKE '%aa%b' THEN line || 'y' ELSE line END) FROM logs
SELECT line::bigint FROM logs
SELECT 9223372036854775807 + n FROM (SELECT count(*) AS n FROM logs) x
SELECT -9223372036854775808 / n FROM (SELECT -1 AS n) x
SELECT (-9223372036854775808) % (count(*) - count(*) - 1) FROM logs
SELECT 1 / 0
SELECT count(*) / 0 FROM logs
SELECT abs(-9223372036854775808)
SELECT factorial(100)
SELECT chr(1114112)
SELECT chr(-1)
SELECT chr(55296)
SELECT gcd(-9223372036854775808, 0)
SELECT lcm(9223372036854775807, 9223372036854775806)
SELECT power(2, 100000), power(10, -1)
SELECT log(0), ln(-1)
SELECT round(1.5, 1000000), trunc(1.5, -1000000), round(1.5, -2147483648)
SELECT substr('abc', -9223372036854775808, 9223372036854775807)
SELECT substr('abc', 9223372036854775807)
SELECT left('abc', -9223372036854775808), right('abc', -9223372036854775808)
SELECT left('abc', 9223372036854775807), right('abc', 9223372036854775807)
SELECT split_part('a,b', ',', -9223372036854775808)
SELECT substr_index('a,b', ',', -9223372036854775808)
SELECT overlay('abc' PLACING 'x' FROM -9223372036854775808 FOR 9223372036854775807)
SELECT date_bin(INTERVAL '0 seconds', now())
SELECT date_bin(INTERVAL '1 nanosecond', TIMESTAMP '0001-01-01T00:00:00')
SELECT date_bin(INTERVAL '1 month', now(), TIMESTAMP '9999-01-01T00:00:00')
SELECT date_trunc('century', now())
SELECT date_trunc('', now())
SELECT now() + INTERVAL '999999999 years'
SELECT now() - INTERVAL '178000000 years'
SELECT to_timestamp(9223372036854775807)
SELECT to_timestamp_seconds(9223372036854775807)
SELECT from_unixtime(9223372036854775807)
SELECT to_timestamp(1e300)
SELECT to_timestamp('x')
SELECT to_date('99999999-01-01')
SELECT make_date(2147483647, 12, 31)
SELECT make_date(2024, 13, 45)
SELECT make_time(99, 99, 99)
SELECT to_time('99:99')
SELECT to_char(now(), '%')
SELECT to_char(now(), '%Q')
SELECT to_char(DATE '2024-01-01', '%H')
SELECT to_char(INTERVAL '1 day', '%H')
SELECT ts AT TIME ZONE 'nowhere' FROM logs LIMIT 1
SELECT ts AT TIME ZONE '+99:99' FROM logs LIMIT 1
SELECT arrow_cast(line, 'Nonsense') FROM logs
SELECT arrow_cast(1, 'Decimal128(38, 38)')
SELECT arrow_cast(1, 'Decimal256(76, 0)') * arrow_cast(1, 'Decimal256(76, 0)')
SELECT arrow_cast('x', 'Dictionary(Int8, Utf8)')
SELECT arrow_cast(pod, 'Dictionary(Int8, Utf8)') FROM series
SELECT arrow_cast(pod, 'RunEndEncoded(Int32, Utf8)') FROM series LIMIT 2
SELECT [1,2,3][-9223372036854775808]
SELECT [1,2,3][1:9223372036854775807:1]
SELECT [1,2,3][0]
SELECT array_agg(1)[9223372036854775807]
SELECT struct(1, 2)
SELECT {'a': 1}
SELECT MAP {'a': 1}
SELECT [1, 'a', NULL, 2.5]
SELECT [[[[1]]]]
SELECT nth_value(line, 9223372036854775807) OVER () FROM logs LIMIT 1
SELECT lag(line, -9223372036854775808) OVER () FROM logs LIMIT 1
SELECT ntile(9223372036854775807) OVER () FROM logs LIMIT 1
SELECT ntile(0) OVER () FROM logs LIMIT 1
SELECT sum(value) OVER (ROWS BETWEEN 18446744073709551615 PRECEDING AND 18446744073709551615 FOLLOWING) FROM samples LIMIT 1
SELECT sum(value) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '999999999 years' PRECEDING AND CURRENT ROW) FROM samples LIMIT 1
SELECT percentile_cont(value, 2) FROM samples
SELECT approx_percentile_cont(value, -1) FROM samples
SELECT approx_percentile_cont(value, 0.5, 1000000000) FROM samples
SELECT * FROM logs LIMIT 9223372036854775807 OFFSET 9223372036854775807
SELECT * FROM logs LIMIT -1
SELECT * FROM logs OFFSET 9223372036854775807
SELECT sum(9223372036854775807) FROM logs
SELECT avg(9223372036854775807) FROM logs
SELECT sum(arrow_cast(9e37, 'Decimal128(38,0)')) FROM logs
SELECT rate(value, ts) FROM samples
SELECT increase(value, ts) FROM samples
SELECT template_of(1, 2)
SELECT template_of('a')
SELECT template_of(NULL, NULL)
SELECT template_of('team-a', -1)
SELECT * FROM unnest([1,2,3])
SELECT unnest(array_agg(line)), unnest(array_agg(pod)) FROM logs
SELECT value FROM samples TABLESAMPLE (10)
SELECT * FROM logs FOR UPDATE
SELECT * FROM logs PIVOT (count(line) FOR pod IN ('a'))
SELECT * EXCLUDE (line) FROM logs LIMIT 1
SELECT * REPLACE (line || line || line AS line) FROM logs
SELECT COLUMNS('.*') FROM logs
SELECT * FROM (VALUES (1), ('a')) v
VALUES (1, 2), (3)
SELECT
SELECT FROM logs
(((SELECT 1)))
FROM logs SELECT 1
FROM logs
SELECT count(*) FROM logs l JOIN logs m ON l.pod = m.pod WHERE l.pod = 'long'
SELECT max(length(l.line || m.line)) FROM logs l JOIN logs m ON l.pod = m.pod WHERE l.pod = 'long'
SELECT max(length(l.line || m.line)) FROM logs l, logs m WHERE l.pod = 'long' AND m.pod = 'long'
SELECT max(l.line), max(m.line) FROM logs l JOIN logs m ON l.line <= m.line WHERE l.pod = 'long' AND m.pod = 'long'
SELECT l.line, m.line FROM logs l JOIN logs m ON l.line <= m.line WHERE l.pod = 'long' AND m.pod = 'long' ORDER BY l.line || m.line
SELECT count(*) FROM logs l LEFT JOIN logs m ON l.line = m.line || 'x' WHERE l.pod = 'long'
SELECT max(l.line) FROM logs l, samples s WHERE l.pod = 'long'
SELECT max(l.line) FROM logs l, samples s WHERE l.pod = 'long' AND s.ts BETWEEN l.ts - INTERVAL '1 hour' AND l.ts + INTERVAL '1 hour'
SELECT l.line FROM logs l JOIN samples s ON s.ts BETWEEN l.ts - INTERVAL '1 hour' AND l.ts + INTERVAL '1 hour' WHERE l.pod = 'long' ORDER BY s.value LIMIT 5
SELECT max(regexp_replace(line, '{many}', 'x', 'g')) FROM logs WHERE pod = 'long'
SELECT count(*) FROM logs WHERE pod = 'long' AND line ~ '{many}'
SELECT sum(regexp_count(line, '{many}')) FROM logs WHERE pod = 'long'
SELECT sum(regexp_count(line, '[^b]*b|a')) FROM logs WHERE pod = 'long'
SELECT max(regexp_instr(line, '[^b]*b|a', 1, 48000)) FROM logs WHERE pod = 'long'
SELECT max(regexp_replace(line, '[^b]*b|a', 'x', 'g')) FROM logs WHERE pod = 'long'
SELECT max((regexp_match(line, '{many}'))[1]) FROM logs WHERE pod = 'long'
SELECT max((regexp_match(line, '(a|b|c|aa)*(a*)*(a*)*b'))[1]) FROM logs WHERE pod = 'long'
SELECT count(*) FROM logs WHERE pod = 'long' AND line LIKE '{wild}b'
SELECT count(*) FROM logs WHERE pod = 'long' AND line ILIKE '{wild}b'
SELECT count(*) FROM logs WHERE pod = 'long' AND line LIKE replace(line, 'a', '%a')
SELECT count(*) FROM logs a, logs b WHERE a.line LIKE replace(left(b.line, 100), ' ', '%_')
SELECT count(*) FROM logs a WHERE a.line LIKE left(replace(line, ' ', '%_'), 250)
SELECT count(DISTINCT regexp_replace(line, '(.*?)a', '\1b', 'g')) FROM logs WHERE pod = 'long'
SELECT max(t) FROM (SELECT string_agg(line, '') AS t FROM logs WHERE pod = 'long') x
SELECT count(*) FROM (SELECT string_agg(line, '') AS t FROM logs WHERE pod = 'long' AND ts < TIMESTAMP '2026-11-22T13:00:00.040Z') x WHERE t ~ '{many}'
SELECT max(regexp_count(t, '[^b]*b|a')) FROM (SELECT string_agg(line, '') AS t FROM logs WHERE pod = 'long' AND ts < TIMESTAMP '2026-11-22T13:00:00.040Z') x
SELECT labels ->> 'app' FROM series a, series b ORDER BY 1 LIMIT 1
SELECT count(*) FROM logs WHERE line ->> 'a' = 'b'
