-- Contract: queue add
--@ keys config ids items publishes claimed unique paused
-- ARGV: 1 priority (0 normal, 1 high), 2 what becomes of an id that is taken: keep, replace or
--       refuse, 3 ms that the ids stay taken, or 0, then id, item, id, item ..., then session and call
-- Returns for each 1: added, 2: in the place of the one that was there, 0: nothing was done. With
-- refuse, an id that is taken is an error, and nothing is done.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include feed
--@ include size
--@ include waiting
--@ include unique
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_item_size', 'paused')
local refusal = refuse(config[1], 'queue') or oversized(config[2], 5)
if refusal then
  return refusal
end
heed_pause(config[3])
local ids = {}
for index = 4, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
local claimed = call('ZMSCORE', keys.claimed, unpack(ids))
local is_there = {}
for index, id in ipairs(ids) do
  is_there[index] = call('HEXISTS', keys.items, id) == 1
end
local outcomes, refused = outcomes_of(ids, ARGV[2], is_there, claimed)
if refused then
  return refused
end
local fields, new = {}, {}
for index, id in ipairs(ids) do
  if outcomes[index] > 0 then
    fields[#fields + 1], fields[#fields + 2] = id, ARGV[3 + 2 * index]
    if outcomes[index] == 1 then
      new[#new + 1] = id
    end
  end
end
if #fields > 0 then
  call('HSET', keys.items, unpack(fields))
  redis.pcall('INCRBY', keys.publishes, #fields / 2) -- what is no number is left
end
if #new > 0 then
  call(ARGV[1] == '1' and 'RPUSH' or 'LPUSH', keys.ids, unpack(new))
end
keep_taken(ids, outcomes, tonumber(ARGV[3]))
return remember(outcomes)
