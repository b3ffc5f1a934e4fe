-- Prints what wrk has measured as one line of JSON. Only `done` is defined: nothing runs for each request.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"durationMicros":%d,"p50Micros":%d,"p90Micros":%d,"p99Micros":%d,"maxMicros":%d,' ..
    '"socketErrors":%d,"statusErrors":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
