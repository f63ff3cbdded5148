-- Contract: queue get
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved
-- ARGV: 1 how many at most
-- Returns {-1, {id, item, id, item ...}}.
-- Notices: none.
--@ include feed
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local taken = {}
while #taken < 2 * tonumber(ARGV[1]) do
  local id = redis.call('RPOP', KEYS[4]) or redis.call('RPOP', KEYS[2])
  if not id then
    break
  end
  local item = redis.call('HGET', KEYS[3], id)
  -- An id without item is the trace of another's unfinished step: there is nothing to hand out.
  if item then
    redis.call('HDEL', KEYS[3], id)
    taken[#taken + 1] = id
    taken[#taken + 1] = item
  end
end
return {-1, taken}
