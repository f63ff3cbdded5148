-- Contract: job reschedule
--@ keys config ids items published scheduled scheduleditems info paused
-- ARGV: 1 id, 2 when it is due: ms from now behind a plus, or ms since 1970, 3 session, 4 call
-- Returns 1 when it is scheduled, 0 when it is available now. A job that is not scheduled is an
-- error.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include feed
--@ include schedule
--@ include info
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[3])
if refusal then
  return refusal
end
heed_pause(config[2])
local id, due = ARGV[1], due_at(ARGV[2])
local before, item = call('ZSCORE', keys.scheduled, id), call('HGET', keys.scheduleditems, id)
if not before or not item then
  return redis.error_reply('NOTSCHEDULED 1')
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.info)
call('LLEN', keys.ids)
local high = number_of(before) % 1
due = math.floor(due) + (high == high and high or 0) -- a peer may have left any number
if due < now() + 1 then
  make_available({id}, {now() + due % 1})
  note(id, {'due', text_of(now())})
  return remember(0)
end
schedule_jobs({id}, {item}, {due})
note(id, {'due', text_of(math.floor(due))})
return remember(1)
