-- Contract: job extend
-- KEYS: 1 config, 2 claimed, 3 holders, 4 answers
-- ARGV: 1 id, 2 token, 3 slot, 4 call
-- Returns 1. A job that is not claimed is an error.
-- Notices: none.
--@ once
--@ include feed
--@ include clock
--@ include claim
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[2], holders = KEYS[3]}
if not holds(keys, ARGV[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
local time = now()
local token, since = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', '^(.*) (%S+)$')
local counts = since == text_of(tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1])))
redis.call('ZADD', KEYS[2], text_of(time), ARGV[1])
-- An entry that no longer counts must not come to life again.
if counts then
  redis.call('HSET', KEYS[3], ARGV[1], token .. ' ' .. text_of(time))
end
return 1
