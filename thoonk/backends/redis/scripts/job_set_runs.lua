-- Contract: job set runs
--@ keys config ids schedules runs runtimes paused
-- ARGV: 1 name, 2 the schedule as it was read, 3 the times at which it is due, in ms, the next ones,
--       4 session, 5 call
-- Returns 1, or 0 when the schedule is another by now: nothing is done then.
-- Notices: none.
--@ include once
--@ include feed
--@ include schedule
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
heed_pause(config[2])
local name = ARGV[1]
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.runtimes)
call('LLEN', keys.ids)
if call('HGET', keys.schedules, name) ~= ARGV[2] then
  return remember(0)
end
local due = call('ZSCORE', keys.runs, name)
local times = ARGV[3]
local first, rest = string.match(times, '^(%d+) ?(.*)$')
-- Some of the times may have come while they were sent.
while first and tonumber(first) <= (due and number_of(due) or now()) do
  first, rest = string.match(rest, '^(%d+) ?(.*)$')
end
if due then
  rest = first and (first .. ' ' .. rest) or ''
end
call('HSET', keys.runtimes, name, rest or '')
if not due and first then
  call('ZADD', keys.runs, first, name)
  if call('ZRANK', keys.runs, name) == 0 then
    ring()
  end
end
return remember(1)
