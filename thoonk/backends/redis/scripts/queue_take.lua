-- Contract: queue get
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 claimed, 6 holders, 7 tokens
-- ARGV: 1 how many at most, 2 token, 3 recover_expired (1) or not (0): whether late takes are undone
--       first, or only when nothing waits, 4 ms after which an unconfirmed take is late
-- Returns {ms until a take may be undone or -1, {id ...}, {item ...}}. With a token that has
-- taken before: the same again.
-- Notices: none.
--@ include feed
--@ include claim
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
local keys = {
  ids = KEYS[2], items = KEYS[3], reserved = KEYS[4], claimed = KEYS[5], holders = KEYS[6],
  tokens = KEYS[7],
}
local time, timeout = now(), tonumber(ARGV[4])
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', KEYS[2])
call('LLEN', KEYS[4])
call('HLEN', KEYS[3])
local taken, items = {}, {}
if ARGV[3] ~= '1' then
  taken, items = take(keys, ARGV[2], tonumber(ARGV[1]), time, false)
end
if #taken == 0 then
  local late = {}
  expire(keys, time, timeout, 100, function(id)
    table.insert(late, 1, id)
  end)
  if #late > 0 then
    -- The one that was taken first is next.
    end_claims(keys, late, call('HMGET', keys.holders, unpack(late)))
    call('RPUSH', keys.ids, unpack(late))
  end
  taken, items = take(keys, ARGV[2], tonumber(ARGV[1]), time, true)
end
return {#taken == 0 and time_left(keys, time, timeout) or -1, taken, items}
