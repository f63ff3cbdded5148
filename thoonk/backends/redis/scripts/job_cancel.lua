-- Contract: job cancel
-- KEYS: 1 config, 2 ids, 3 published, 4 claimed, 5 stalled, 6 cancelled, 7 holders,
--       8 tokens, 9 answers
-- ARGV: 1 id, 2 token, 3 session, 4 call
-- Returns 0 when it waits again, 1 when it was stalled. A job that is not claimed is an error.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local config = call('HMGET', KEYS[1], 'type', 'max_failures')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
local keys = {
  ids = KEYS[2], published = KEYS[3], claimed = KEYS[4], stalled = KEYS[5],
  cancelled = KEYS[6], holders = KEYS[7], tokens = KEYS[8],
}
local since, holders = claims_on(keys, {ARGV[1]})
if not is_owner(since[1], holders[1], ARGV[2]) then
  return redis.error_reply('NOTCLAIMED 1')
end
local waiting = requeue_or_stall(keys, {ARGV[1]}, count_in(config[2]))
return remember(1 - #waiting)
