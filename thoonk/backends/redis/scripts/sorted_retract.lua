-- Contract: sorted retract
-- KEYS: 1 config, 2 ids, 3 items, 4 answers
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
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'sorted_feed') or muted(ARGV[1])
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', KEYS[3])
local removed = {}
if #ARGV == 2 or #ARGV * call('LLEN', KEYS[2]) <= FEW then
  for index = 2, #ARGV do
    removed[index - 1] = call('LREM', KEYS[2], 1, ARGV[index])
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
    found, right, left = walk(KEYS[2], KEYS[3], wanted, right, left, 1e15)
    for _, id in ipairs(found) do
      removed[index_of[id]] = 1
    end
  until not next(wanted) or right + left >= call('LLEN', KEYS[2])
end
call('HDEL', KEYS[3], unpack(ARGV, 2))
for index, was_there in ipairs(removed) do
  if was_there == 1 then
    call('PUBLISH', ARGV[1], ARGV[index + 1])
  end
end
return remember(removed)
