-- Contract: job unschedule
--@ keys config schedules runs runtimes
-- ARGV: 1 name, 2 session, 3 call
-- Returns 1, or 0 when there is no such schedule. Jobs that it has put stay.
-- Notices: none.
--@ include once
--@ include feed
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('ZCARD', keys.runs)
call('HLEN', keys.runtimes)
local removed = call('HDEL', keys.schedules, ARGV[1])
call('ZREM', keys.runs, ARGV[1])
call('HDEL', keys.runtimes, ARGV[1])
return remember(removed)
