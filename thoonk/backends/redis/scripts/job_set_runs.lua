-- Contract: job set runs
--@ keys config ids schedules runs runtimes paused
-- ARGV: 1 name, 2 the schedule as it was read, 3 the times at which it is due, in ms, the next ones,
--       4 session, 5 call
-- Returns 1, or 0 when the schedule is another by now: nothing is done then.
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
local name = ARGV[1]
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.runtimes)
call('LLEN', keys.ids)
local stored = call('HGET', keys.schedules, name)
if not stored or not says_the_same(stored, ARGV[2]) then
  return remember(0)
end
local due, times = call('ZSCORE', keys.runs, name), {}
for text in string.gmatch(ARGV[3], '%d+') do
  -- Some of the times may have come while they were sent.
  if tonumber(text) > (due and number_of(due) or now()) then
    times[#times + 1] = text
  end
end
local first = not due and table.remove(times, 1)
call('HSET', keys.runtimes, name, table.concat(times, ' '))
if first then
  call('ZADD', keys.runs, first, name)
  if call('ZRANK', keys.runs, name) == 0 then
    ring()
  end
end
return remember(1)
