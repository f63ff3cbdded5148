-- Contract: queue clear
-- One short step of it.
--@ keys config ids items reserved claimed holders tokens unique paused
-- ARGV: 1 how many items at most, 2 session, 3 call
-- Returns {how many went, how many are left}.
-- Notices: none.
--@ include once
--@ include feed
--@ include waiting
--@ include claim
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'queue')
if refusal then
  return refusal
end
heed_pause(config[2])
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
call('HLEN', keys.tokens)
call('HLEN', keys.holders)
call('ZCARD', keys.claimed)
call('ZCARD', keys.unique)
local most, ids = tonumber(ARGV[1]), {}
for _, list in ipairs({keys.reserved, keys.ids}) do
  for _, id in ipairs(most > #ids and call('RPOP', list, most - #ids) or {}) do
    ids[#ids + 1] = id
  end
end
-- What is on its way to a consumer does not arrive any more.
local taken = call('ZRANGE', keys.claimed, 0, most - 1)
if #taken > 0 then
  local _, holders = claims_on(taken)
  end_claims(taken, holders)
  call('HDEL', keys.items, unpack(taken))
  call('ZREM', keys.unique, unpack(taken))
end
if #ids > 0 then
  call('HDEL', keys.items, unpack(ids))
  call('ZREM', keys.unique, unpack(ids))
end
local left = call('LLEN', keys.ids) + call('LLEN', keys.reserved) + call('ZCARD', keys.claimed)
return remember({#ids + #taken, left})
