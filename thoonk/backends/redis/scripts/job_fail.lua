-- Contract: job fail
--@ keys config ids items published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems info paused
-- ARGV: 1 id, 2 token, 3 '' to let it wait, 'stall', or when it is to be due again (see job
--       reschedule), then name, value, name, value ... of what to note of it, then session and call
-- Returns 0 when it waits again, 1 when it was stalled, 2 when it is scheduled. A job that is not
-- claimed is an error.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include feed
--@ include schedule
--@ include claim
--@ include info
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_failures', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[4])
if refusal then
  return refusal
end
heed_pause(config[3])
local id, what = ARGV[1], ARGV[3]
local since, holders = claims_on({id})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
-- Refused here, before anything is written, where a key is of another type.
call('SCARD', keys.stalled)
call('ZCARD', keys.published)
call('HLEN', keys.info)
call('ZCARD', keys.scheduled)
call('HLEN', keys.scheduleditems)
local put, item = call('ZSCORE', keys.published, id), call('HGET', keys.items, id)
local time, outcome = text_of(now()), 0
local facts = {'failed', time}
if put and not string.find('\0' .. (call('HGET', keys.info, id) or ''), '\0put=', 1, true) then
  facts[3], facts[4] = 'put', text_of(in_milliseconds(number_of(put)))
end
if what == 'stall' then
  outcome = 1
  end_claims({id}, holders)
  call('SADD', keys.stalled, id)
  call('ZREM', keys.published, id)
  tell('stalled', {id})
else
  local due = what ~= '' and due_at(what)
  local put_off = due and due >= now() + 1 and item and function()
    outcome = 2
    call('ZREM', keys.published, id)
    call('HDEL', keys.items, id)
    schedule_jobs({id}, {item}, {math.floor(due)})
    facts[#facts + 1], facts[#facts + 2] = 'due', text_of(math.floor(due))
  end
  local _, stalled = requeue_or_stall({id}, count_in(config[2]), put_off)
  if #stalled > 0 then
    outcome = 1
  end
end
if outcome == 1 then
  facts[#facts + 1], facts[#facts + 2] = 'stalled', time
end
for index = 4, #ARGV do
  facts[#facts + 1] = ARGV[index]
end
note(id, facts)
return remember(outcome)
