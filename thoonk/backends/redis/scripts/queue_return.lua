-- Contract: queue return
--@ keys config ids items claimed holders tokens paused
-- ARGV: 1 token, then id, item, id, item ... in the order in which they were taken,
--       then session and call
-- Returns the count of those that wait again because of this.
-- Notices: none; the push itself wakes a blocked consumer.
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
call('LLEN', keys.ids)
call('HLEN', keys.items)
local given = {}
for index = #ARGV - 1, 2, -2 do
  given[#given + 1] = ARGV[index]
end
local since, holders = claims_on(given)
local ids, holders_of_ids, fields, is_given = {}, {}, {}, {}
for index, id in ipairs(given) do
  -- Not held, but there: it has come back by itself.
  if not is_given[id] and (
      is_owner(since[index], holders[index], ARGV[1]) or call('HEXISTS', keys.items, id) == 0) then
    is_given[id] = true
    ids[#ids + 1], holders_of_ids[#ids + 1] = id, holders[index]
    fields[#fields + 1] = id
    fields[#fields + 1] = ARGV[#ARGV + 2 - 2 * index]
  end
end
if #ids > 0 then
  end_claims(ids, holders_of_ids)
  call('HSET', keys.items, unpack(fields))
  call('RPUSH', keys.ids, unpack(ids))
end
return remember(#ids)
