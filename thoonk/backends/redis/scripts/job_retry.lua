-- Contract: job retry
-- KEYS: 1 config, 2 ids, 3 published, 4 stalled, 5 cancelled, 6 answers
-- ARGV: 1 id, 2 session, 3 call
-- Returns 1. A job that is not stalled is an error.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include once
--@ include feed
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('ZCARD', KEYS[3])
call('LLEN', KEYS[2])
call('HLEN', KEYS[5])
if call('SREM', KEYS[4], ARGV[1]) == 0 then
  return redis.error_reply('NOTSTALLED 1')
end
call('HDEL', KEYS[5], ARGV[1])
call('ZADD', KEYS[3], text_of(now()), ARGV[1])
call('LPUSH', KEYS[2], ARGV[1])
return remember(1)
