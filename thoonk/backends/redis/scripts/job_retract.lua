-- Contract: job retract
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders, 10 tokens, 11 answers
-- ARGV: ids, then slot and call
-- Returns 1 for each id that was there, else 0.
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
local keys = {claimed = KEYS[6], holders = KEYS[9], tokens = KEYS[10]}
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', KEYS[8])
call('ZCARD', KEYS[5])
call('SCARD', KEYS[7])
call('ZCARD', KEYS[6])
call('HLEN', KEYS[9])
call('HLEN', KEYS[10])
call('LLEN', KEYS[2])
call('LLEN', KEYS[4])
local removed = {}
for _, id in ipairs(ARGV) do
  removed[#removed + 1] = call('HDEL', KEYS[3], id)
  call('HDEL', KEYS[8], id)
  call('ZREM', KEYS[5], id)
  call('SREM', KEYS[7], id)
  if call('ZSCORE', KEYS[6], id) then
    let_go(keys, {id}, call('HMGET', keys.holders, id))
  elseif call('LREM', KEYS[2], 1, id) == 0 then
    call('LREM', KEYS[4], 1, id)
  end
end
return remember(removed)
