-- Contract: snapshot
-- KEYS: 1 config, 2 ids, 3 items
-- ARGV: 1 kind (feed or sorted_feed), 2 version of the last snapshot or '', 3 marker channel,
--       4 payload of the marker
-- Returns {version, {id ...} in order, {id, item ...} of what may have changed since}.
-- Notices: the marker, on a channel of the caller's own: what reaches it before the marker is
-- in the snapshot, what comes after is not.
--@ include feed
--@ include clock
local refusal = refuse(call('HGET', KEYS[1], 'type'), ARGV[1])
if refusal then
  return refusal
end
local ids, version, changed = {}, ARGV[2], {}
if ARGV[1] == 'feed' then
  -- An edit moves an item to the end, so a later score says all.
  local since = tonumber(ARGV[2]) or -math.huge
  local rows = call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  for index = 1, #rows, 2 do
    local score = in_milliseconds(tonumber(rows[index + 1]))
    ids[#ids + 1] = rows[index]
    if score > since then
      changed[#changed + 1] = rows[index]
      version = text_of(math.max(score, tonumber(version) or score))
    end
  end
else
  -- An edit leaves no trace in the order: all items are sent.
  ids = call('LRANGE', KEYS[2], 0, -1)
  changed = ids
end
local items = {}
for _, id in ipairs(changed) do
  items[#items + 1] = id
  items[#items + 1] = call('HGET', KEYS[3], id) or ''
end
call('PUBLISH', ARGV[3], ARGV[4])
return {version, ids, items}
