-- Contract: job schedule
--@ keys config ids schedules runs runtimes paused
-- ARGV: 1 name, 2 the schedule, see lib/runs.lua, 3 the times at which it is due, in ms, the first
--       ones; '' where these follow from `every`, 4 session, 5 call
-- Returns 1, or 0 when there is just this schedule under that name: it goes on as it is.
-- Notices: none.
--@ include once
--@ include feed
--@ include schedule
--@ include runs
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
heed_pause(config[2])
local name, schedule = ARGV[1], ARGV[2]
-- Refused here, before anything is written, where a key is of another type.
local before, due = call('HGET', keys.schedules, name), call('ZSCORE', keys.runs, name)
call('HLEN', keys.runtimes)
call('LLEN', keys.ids)
if before == schedule and due then
  return remember(0)
end
local every = tonumber(value_in(schedule, 'every') or '')
local first, rest = string.match(ARGV[3], '^(%d+) ?(.*)$')
call('HSET', keys.schedules, name, schedule)
call('ZADD', keys.runs, every and text_of(now() + every) or first, name)
if every then
  call('HDEL', keys.runtimes, name)
else
  call('HSET', keys.runtimes, name, rest)
end
if call('ZRANK', keys.runs, name) == 0 then
  ring()
end
return remember(1)
