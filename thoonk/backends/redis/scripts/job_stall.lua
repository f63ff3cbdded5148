-- Contract: job stall
-- KEYS: 1 config, 2 published, 3 claimed, 4 stalled, 5 holders, 6 tokens, 7 answers
-- ARGV: 1 id, 2 token, 3 session, 4 call
-- Returns 1. A job that is not claimed is an error.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[3], holders = KEYS[5], tokens = KEYS[6]}
local since, holders = claims_on(keys, {ARGV[1]})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
-- Refused here, before anything is written, where a key is of another type.
call('SCARD', KEYS[4])
call('ZCARD', KEYS[2])
end_claims(keys, {ARGV[1]}, holders)
call('SADD', KEYS[4], ARGV[1])
call('ZREM', KEYS[2], ARGV[1])
return remember(1)
