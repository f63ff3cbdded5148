-- Contract: pages
--@ keys config ids items scheduleditems paused
-- ARGV: 1 kind, 2 how many to leave out (without cursor), 3 how many at most, 4 reverse (0, 1),
--       5 with items (0, 1), 6 cursor or '', 7 bytes of items after which the page ends
-- Returns {cursor or '', {id ...}, {item ...}}.
-- Notices: none.
--@ include feed
--@ include page
--@ include waiting
local kind = ARGV[1]
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], kind)
if refusal then
  return refusal
end
if kind == 'queue' then
  heed_pause(config[2])
end
local start, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local reverse, with_items, cursor = ARGV[4] == '1', ARGV[5] == '1', ARGV[6]
local ids, items = {}, {}

if kind == 'job' then
  -- In no order: as the hashes of items are walked, which also reads the items.
  local size, from, at = 0, string.match(cursor, '^(%l?)(%d*)$')
  if not with_items and cursor == ''
      and call('HLEN', keys.items) + call('HLEN', keys.scheduleditems) <= count then
    ids = call('HKEYS', keys.items)
    for _, id in ipairs(call('HKEYS', keys.scheduleditems)) do
      ids[#ids + 1] = id
    end
    return {'', ids, {}}
  end
  at = at ~= '' and at or '0'
  local key = from == 's' and keys.scheduleditems or keys.items
  repeat
    local step = call('HSCAN', key, at, 'COUNT', 10)
    for index = 1, #step[2], 2 do
      ids[#ids + 1] = step[2][index]
      size = size + #step[2][index + 1]
      if with_items then
        items[#items + 1] = step[2][index + 1]
      end
    end
    at = step[1]
  until at == '0' or #ids >= count or size >= tonumber(ARGV[7])
  if at ~= '0' then
    return {from .. at, ids, items}
  end
  -- Behind what is available comes what is scheduled.
  local is_last = from == 's' or call('HLEN', keys.scheduleditems) == 0
  return {is_last and '' or 's0', ids, items}
end

local cursor_of, _
if kind == 'feed' then
  ids, _, cursor_of = page_of_zset(keys.ids, cursor, start, count, reverse)
else
  -- A queue is read from the right, where items are taken.
  ids, cursor_of = page_of_list(keys.ids, cursor, start, count, reverse ~= (kind == 'queue'))
end

local read = #ids
local is_last = read < count
if with_items then
  local size, there = 0, {}
  for index, id in ipairs(ids) do
    local item = call('HGET', keys.items, id)
    if item then
      there[#there + 1], items[#items + 1] = id, item
      size = size + #item
    end
    if size >= tonumber(ARGV[7]) then
      is_last = is_last and index == read
      read = index
      break
    end
  end
  return {is_last and '' or cursor_of(read), there, items}
end
return {is_last and '' or cursor_of(read), ids, items}
