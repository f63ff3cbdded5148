-- Contract: job stall
-- KEYS: 1 config, 2 published, 3 claimed, 4 stalled, 5 cancelled, 6 holders
-- ARGV: 1 id, 2 token
-- Returns 1. A job that is not claimed is an error.
-- Notices: none.
--@ include feed
--@ include clock
--@ include claim
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
if not holds(KEYS[3], KEYS[6], ARGV[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
