-- Contract: job retract
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders, 10 tokens, 11 answers
-- ARGV: ids, then session and call
-- Returns 1 for each id that was there, else 0.
-- Notices: none.
--@ include once
--@ include feed
--@ include claim
--@ include unlist
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', KEYS[3])
call('HLEN', KEYS[8])
call('ZCARD', KEYS[5])
call('SCARD', KEYS[7])
call('ZCARD', KEYS[6])
call('HLEN', KEYS[9])
call('HLEN', KEYS[10])
call('LLEN', KEYS[2])
call('LLEN', KEYS[4])
local keys = {claimed = KEYS[6], holders = KEYS[9], tokens = KEYS[10]}
local since, holders = claims_on(keys, ARGV)
local claimed, held_by, wanted, others, removed = {}, {}, {}, {}, {}
local half = call('ZCARD', KEYS[5]) / 2
for index, id in ipairs(ARGV) do
  if since[index] then
    claimed[#claimed + 1], held_by[#held_by + 1] = id, holders[index]
  elseif call('SREM', KEYS[7], id) == 0 and not wanted[id] then
    -- What was put first is at the right end of the list, as a rule.
    wanted[id] = (call('ZRANK', KEYS[5], id) or 0) < half and -1 or 1
    others[#others + 1] = id
  end
  removed[index] = call('HDEL', KEYS[3], id)
end
call('HDEL', KEYS[8], unpack(ARGV))
call('ZREM', KEYS[5], unpack(ARGV))
if #claimed > 0 then
  end_claims(keys, claimed, held_by)
end
if #others == 1 or #others * call('LLEN', KEYS[2]) <= FEW then
  for _, id in ipairs(others) do
    if call('LREM', KEYS[2], wanted[id], id) == 0 then
      call('LREM', KEYS[4], 1, id)
    end
  end
else
  local _, right, left = nil, 0, 0
  repeat
    _, right, left = walk(KEYS[2], KEYS[3], wanted, right, left, 1e15)
  until not next(wanted) or right + left >= call('LLEN', KEYS[2])
  for id in pairs(wanted) do
    call('LREM', KEYS[4], 1, id)
  end
end
return remember(removed)
