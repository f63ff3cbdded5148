-- Contract: job cancel
--@ keys config ids published claimed stalled cancelled holders tokens paused
-- ARGV: 1 id, 2 token, 3 session, 4 call
-- Returns 0 when it waits again, 1 when it was stalled. A job that is not claimed is an error.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include feed
--@ include waiting
--@ include claim
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_failures', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[4])
if refusal then
  return refusal
end
heed_pause(config[3])
local since, holders = claims_on({ARGV[1]})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
local waiting = requeue_or_stall({ARGV[1]}, count_in(config[2]))
return remember(1 - #waiting)
