-- Contract: job retry
--@ keys config ids published stalled cancelled paused
-- ARGV: 1 id, 2 session, 3 call
-- Returns 1. A job that is not stalled is an error.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include numbers
--@ include feed
--@ include waiting
--@ include events
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[3])
if refusal then
  return refusal
end
heed_pause(config[2])
-- Refused here, before anything is written, where a key is of another type.
call('ZCARD', keys.published)
call('LLEN', keys.ids)
call('HLEN', keys.cancelled)
if call('SREM', keys.stalled, ARGV[1]) == 0 then
  return redis.error_reply('NOTSTALLED 1')
end
call('HDEL', keys.cancelled, ARGV[1])
call('ZADD', keys.published, text_of(now()), ARGV[1])
call('LPUSH', keys.ids, ARGV[1])
tell('retried', {ARGV[1]})
return remember(1)
