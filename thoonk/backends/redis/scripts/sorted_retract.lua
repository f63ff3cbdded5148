-- Contract: sorted retract
-- KEYS: 1 config, 2 ids, 3 items, 4 answers
-- ARGV: 1 retract channel, then ids, then slot and call
-- Returns 1 for each id that was there, else 0.
-- Notices: retract for each that was there.
--@ once
--@ include feed
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'sorted_feed')
if refusal then
  return refusal
end
local removed = {}
for index = 2, #ARGV do
  local was_there = redis.call('LREM', KEYS[2], 1, ARGV[index])
  if was_there > 0 then
    redis.call('HDEL', KEYS[3], ARGV[index])
    redis.call('PUBLISH', ARGV[1], ARGV[index])
  end
  removed[#removed + 1] = was_there
end
return removed
