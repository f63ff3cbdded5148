-- Contract: sorted retract
--@ keys config ids items
-- ARGV: 1 retract channel, then ids, then session and call
-- Returns 1 for each id that was there, else 0.
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
local removed = {}
if #ARGV == 2 or #ARGV * call('LLEN', keys.ids) <= FEW then
  for index = 2, #ARGV do
    removed[index - 1] = call('LREM', keys.ids, 1, ARGV[index])
  end
else
  local wanted, index_of = {}, {}
  for index = 2, #ARGV do
    removed[index - 1] = 0
    if not wanted[ARGV[index]] then
      wanted[ARGV[index]], index_of[ARGV[index]] = true, index - 1
    end
  end
  local found, right, left = nil, 0, 0
  repeat
    found, right, left = walk(wanted, right, left, 1e15)
    for _, id in ipairs(found) do
      removed[index_of[id]] = 1
    end
  until not next(wanted) or right + left >= call('LLEN', keys.ids)
end
call('HDEL', keys.items, unpack(ARGV, 2))
for index, was_there in ipairs(removed) do
  if was_there == 1 then
    call('PUBLISH', ARGV[1], ARGV[index + 1])
  end
end
return remember(removed)
