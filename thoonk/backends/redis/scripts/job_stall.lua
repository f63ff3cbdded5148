-- Contract: job stall
--@ keys config published claimed stalled holders tokens
-- ARGV: 1 id, 2 token, 3 session, 4 call
-- Returns 1. A job that is not claimed is an error.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[2])
if refusal then
  return refusal
end
local since, holders = claims_on({ARGV[1]})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
-- Refused here, before anything is written, where a key is of another type.
call('SCARD', keys.stalled)
call('ZCARD', keys.published)
end_claims({ARGV[1]}, holders)
call('SADD', keys.stalled, ARGV[1])
call('ZREM', keys.published, ARGV[1])
tell('stalled', {ARGV[1]})
return remember(1)
