-- Contract: queue return
-- KEYS: 1 config, 2 ids, 3 items, 4 claimed, 5 holders, 6 tokens, 7 answers
-- ARGV: 1 token, then id, item, id, item ... in the order in which they were taken,
--       then session and call
-- Returns the count of those that wait again because of this.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include once
--@ include feed
--@ include claim
if answered then
  return answered
end
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local keys = {claimed = KEYS[4], holders = KEYS[5], tokens = KEYS[6]}
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', KEYS[2])
call('HLEN', KEYS[3])
local given = {}
for index = #ARGV - 1, 2, -2 do
  given[#given + 1] = ARGV[index]
end
local since, holders = claims_on(keys, given)
local ids, holders_of_ids, fields, is_given = {}, {}, {}, {}
for index, id in ipairs(given) do
  -- Not held, but there: it has come back by itself.
  if not is_given[id] and (
      is_owner(since[index], holders[index], ARGV[1]) or call('HEXISTS', KEYS[3], id) == 0) then
    is_given[id] = true
    ids[#ids + 1], holders_of_ids[#ids + 1] = id, holders[index]
    fields[#fields + 1] = id
    fields[#fields + 1] = ARGV[#ARGV + 2 - 2 * index]
  end
end
if #ids > 0 then
  end_claims(keys, ids, holders_of_ids)
  call('HSET', KEYS[3], unpack(fields))
  call('RPUSH', KEYS[2], unpack(ids))
end
return remember(#ids)
