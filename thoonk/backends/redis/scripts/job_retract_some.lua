-- Contract: job retract
-- As many as a short step can.
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems unique info paused
-- ARGV: 1 and 2 how far from the right and left end of the list to go on (at first 0),
--       3 how many elements of it to read, then ids, then session and call
-- Returns how far from the right and left end to go on, then for each id 1: it was there, 0: it
-- was not, -1: ask again.
-- Notices: none.
--@ include once
--@ include feed
--@ include waiting
--@ include claim
--@ include unlist
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[3])
if refusal then
  return refusal
end
heed_pause(config[2])
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
call('HLEN', keys.cancelled)
call('ZCARD', keys.scheduled)
call('HLEN', keys.scheduleditems)
call('ZCARD', keys.unique)
call('HLEN', keys.info)
call('ZCARD', keys.published)
call('SCARD', keys.stalled)
call('ZCARD', keys.claimed)
call('HLEN', keys.holders)
call('HLEN', keys.tokens)
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
-- A full server refuses to remember the answer unless something was written before.
call('HDEL', keys.items, '')
local right, left, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = {unpack(ARGV, 4)}
-- Also of a job that is finished: its id can be put again.
call('ZREM', keys.unique, unpack(ids))
local since, holders = claims_on(ids)
local gone, claimed, held_by, wanted, waiting, removed = {}, {}, {}, {}, {}, {}
for index, id in ipairs(ids) do
  removed[index] = -1
  local is_scheduled = call('HEXISTS', keys.scheduleditems, id) == 1
  if not is_scheduled and call('HEXISTS', keys.items, id) == 0 then
    removed[index] = 0
  elseif wanted[id] then
    -- Named twice: the second one is for the next step.
  elseif since[index] then
    wanted[id] = index
    gone[#gone + 1] = id
    claimed[#claimed + 1], held_by[#held_by + 1] = id, holders[index]
  elseif is_scheduled or call('SISMEMBER', keys.stalled, id) == 1 then
    wanted[id] = index
    gone[#gone + 1] = id
  else
    wanted[id] = index
    waiting[#waiting + 1] = id
  end
end
local place, length = {}, call('LLEN', keys.ids)
for _, id in ipairs(waiting) do
  place[id] = wanted[id]
end
if #waiting == 1 or #waiting * length <= FEW or right + left >= length then
  local half, compared = call('ZCARD', keys.published) / 2, 0
  for _, id in ipairs(waiting) do
    if compared > 0 and compared + length > FEW then
      break
    end
    compared = compared + length
    -- What was put first is at the right end of the list, as a rule.
    local from = (call('ZRANK', keys.published, id) or 0) < half and -1 or 1
    if call('LREM', keys.ids, from, id) == 0 then
      call('LREM', keys.reserved, 1, id)
    end
    gone[#gone + 1] = id
  end
else
  local found
  found, right, left = walk(place, right, left, most)
  for _, id in ipairs(found) do
    gone[#gone + 1] = id
  end
end
if #gone > 0 then
  if #claimed > 0 then
    end_claims(claimed, held_by)
  end
  call('HDEL', keys.items, unpack(gone))
  call('HDEL', keys.cancelled, unpack(gone))
  call('ZREM', keys.published, unpack(gone))
  call('SREM', keys.stalled, unpack(gone))
  call('ZREM', keys.scheduled, unpack(gone))
  call('HDEL', keys.scheduleditems, unpack(gone))
  call('HDEL', keys.info, unpack(gone))
  tell('retracted', gone)
  for _, id in ipairs(gone) do
    removed[wanted[id]] = 1
  end
end
return remember({right, left, unpack(removed)})
