-- Contract: queue get
--@ keys config ids items reserved claimed holders tokens paused
-- ARGV: 1 how many at most, 2 token, 3 recover_expired (1) or not (0): whether late takes are
--       undone first, or only when nothing waits, 4 ms after which an unconfirmed take is late
-- Returns {ms until a take may be undone or -1, {id ...}, {item ...}}. With a token that has
-- taken before: the same again.
-- Notices: none.
--@ include feed
--@ include waiting
--@ include claim
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'queue')
if refusal then
  return refusal
end
heed_pause(config[2])
local time, timeout = now(), tonumber(ARGV[4])
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
call('HLEN', keys.items)
local taken, items = {}, {}
if ARGV[3] ~= '1' then
  taken, items = take(ARGV[2], tonumber(ARGV[1]), time, false)
end
if #taken == 0 then
  local late = {}
  expire(time, timeout, 100, function(id)
    table.insert(late, 1, id)
  end)
  if #late > 0 then
    -- The one that was taken first is next.
    end_claims(late, call('HMGET', keys.holders, unpack(late)))
    call('RPUSH', keys.ids, unpack(late))
  end
  empty_inbox(1000)
  taken, items = take(ARGV[2], tonumber(ARGV[1]), time, true)
end
return {#taken == 0 and not is_paused and time_left(time, timeout) or -1, taken, items}
