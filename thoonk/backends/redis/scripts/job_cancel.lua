-- Contract: job cancel
-- KEYS: 1 config, 2 ids, 3 published, 4 claimed, 5 stalled, 6 cancelled, 7 holders
-- ARGV: 1 id, 2 token
-- Returns 0 when it waits again, 1 when it was stalled. A job that is not claimed is an error.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include feed
--@ include clock
--@ include claim
local config = redis.call('HMGET', KEYS[1], 'type', 'max_failures')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
if not holds(KEYS[4], KEYS[7], ARGV[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
local keys = {
  ids = KEYS[2], published = KEYS[3], claimed = KEYS[4], stalled = KEYS[5],
  cancelled = KEYS[6], holders = KEYS[7],
}
return give_back(keys, ARGV[1], tonumber(config[2] or '') or 0) and 1 or 0
