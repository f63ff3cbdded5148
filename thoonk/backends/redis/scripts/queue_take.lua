-- Contract: queue get
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 claimed, 6 holders, 7 tokens
-- ARGV: 1 how many at most, 2 token, 3 ms after which an unconfirmed take is undone
-- Returns {ms until a take may be undone, {id, item, id, item ...}}. With a token that has
-- taken before: the same again.
-- Notices: none.
--@ include feed
--@ include clock
--@ include claim
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local keys = {
  ids = KEYS[2], items = KEYS[3], reserved = KEYS[4], claimed = KEYS[5], holders = KEYS[6],
  tokens = KEYS[7],
}
local time, timeout = now(), tonumber(ARGV[3])
local late = {}
expire(keys, time, timeout, 100, function(id)
  let_go(keys, id)
  late[#late + 1] = id
end)
-- The one that was taken first is next.
for index = #late, 1, -1 do
  redis.call('RPUSH', keys.ids, late[index])
end
local taken = {}
for _, pair in ipairs(take(keys, ARGV[2], tonumber(ARGV[1]), time)) do
  taken[#taken + 1] = pair[1]
  taken[#taken + 1] = pair[2]
end
return {time_left(keys, time, timeout), taken}
