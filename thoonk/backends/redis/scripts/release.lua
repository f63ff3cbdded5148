-- Contract: release
--@ keys config ids claimed holders tokens paused
-- ARGV: 1 token, then the ids that are meant; none: all
-- Returns the ids that were taken under the token and wait again, as the next ones.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include feed
--@ include waiting
--@ include claim
local config = call('HMGET', keys.config, 'type', 'paused', 'events')
local refusal = refuse(config[1], 'job') and refuse(config[1], 'queue') or kind_of(config[1]) ~= 'queue' and heed_events(config[3])
if refusal then
  return refusal
end
heed_pause(config[2])
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
local meant = {}
for index = 2, #ARGV do
  meant[ARGV[index]] = true
end
local ids = {}
for id in string.gmatch(call('HGET', keys.tokens, ARGV[1]) or '', '%Z+') do
  if #ARGV == 1 or meant[id] then
    table.insert(ids, 1, id)
  end
end
if #ids == 0 then
  return {}
end
local since, holders = claims_on(ids)
local released, held_by = {}, {}
for index, id in ipairs(ids) do
  if is_owner(since[index], holders[index], ARGV[1]) then
    released[#released + 1], held_by[#held_by + 1] = id, holders[index]
  end
end
if #released > 0 then
  end_claims(released, held_by)
  call('RPUSH', keys.ids, unpack(released))
  tell('released', released)
end
if #ARGV == 1 then
  call('HDEL', keys.tokens, ARGV[1])
end
return released
