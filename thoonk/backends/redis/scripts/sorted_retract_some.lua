-- Contract: sorted retract
-- As many as a short step can.
--@ keys config ids items
-- ARGV: 1 retract channel, 2 and 3 how far from the right and left end of the list to go on (at
--       first 0), 4 how many elements of it to read, then ids, then session and call
-- Returns how far from the right and left end to go on, then for each id 1: it was there, 0: it
-- was not, -1: ask again.
-- Notices: retract for each that was there.
--@ include once
--@ include feed
--@ include notify
--@ include unlist
if answered then
  return answered
end
local refusal = refuse(call('HGET', keys.config, 'type'), 'sorted_feed') or muted(ARGV[1])
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
call('LLEN', keys.ids)
-- A full server refuses to remember the answer unless something was written before.
call('HDEL', keys.items, '')
local right, left, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local index_of, wanted, waiting, found, removed = {}, {}, {}, {}, {}
for index = 1, #ARGV - 4 do
  local id = ARGV[index + 4]
  removed[index] = -1
  if call('HEXISTS', keys.items, id) == 0 then
    removed[index] = 0
  elseif not index_of[id] then
    -- Named twice: the second one is for the next step.
    index_of[id], wanted[id] = index, true
    waiting[#waiting + 1] = id
  end
end
local length = call('LLEN', keys.ids)
if #waiting == 1 or #waiting * length <= FEW or right + left >= length then
  local compared = 0
  for _, id in ipairs(waiting) do
    if compared > 0 and compared + length > FEW then
      break
    end
    compared = compared + length
    if call('LREM', keys.ids, 1, id) == 1 then
      found[#found + 1] = id
    else
      -- An item without a place is no item.
      call('HDEL', keys.items, id)
      removed[index_of[id]] = 0
    end
  end
else
  found, right, left = walk(wanted, right, left, most)
end
if #found > 0 then
  call('HDEL', keys.items, unpack(found))
end
for _, id in ipairs(found) do
  removed[index_of[id]] = 1
end
-- The notices are in the order in which the ids were named.
for index, was_there in ipairs(removed) do
  if was_there == 1 then
    call('PUBLISH', ARGV[1], ARGV[index + 4])
  end
end
return remember({right, left, unpack(removed)})
