-- Contract: pages
--@ keys config ids items scheduleditems paused
-- ARGV: 1 kind, 2 how many to leave out (without cursor), 3 how many at most, 4 reverse (0, 1),
--       5 with items (0, 1), 6 cursor or '', 7 bytes of items after which the page ends
-- Returns {cursor or '', {id ...}, {item ...}}.
-- Notices: none.
--@ include feed
--@ include clock
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

-- A cursor is the place of the id that was read last (its score in a feed, else its index and
-- the length of the list), and that id, with spaces between. Where it still stands there, the
-- next one is next to it. If not, `moved` finds where to go on.
local function next_place(at, moved)
  local place, id = string.match(cursor, kind == 'feed' and '^(%S+) (.*)$' or '^(%d+) %d+ (.*)$')
  if not place then
    return start
  end
  return at(id, place) or moved(id, place)
end

-- What the places are, from the end at which reading begins.
local cursor_of
if kind == 'feed' then
  local rank = reverse and 'ZREVRANK' or 'ZRANK'
  start = next_place(function(id, score)
    local now_at = call('ZSCORE', keys.ids, id)
    return now_at and text_of(number_of(now_at)) == score and call(rank, keys.ids, id) + 1
  end, function(_, score)
    -- Removed or edited since: after all that stood before it.
    local before, to = '-inf', score
    if reverse then
      before, to = score, '+inf'
    end
    return call('ZCOUNT', keys.ids, before, to)
  end)
  local rows = call(
    reverse and 'ZREVRANGE' or 'ZRANGE', keys.ids, start, start + count - 1, 'WITHSCORES')
  local scores = {}
  for index = 1, #rows, 2 do
    ids[#ids + 1] = rows[index]
    scores[#scores + 1] = rows[index + 1]
  end
  cursor_of = function(index)
    return text_of(number_of(scores[index])) .. ' ' .. ids[index]
  end
else
  -- A queue is read from the right, where items are taken.
  local from_right = reverse ~= (kind == 'queue')
  local length_then = tonumber(string.match(cursor, '^%d+ (%d+) '))
  start = next_place(function(id, place)
    local index = from_right and -place - 1 or tonumber(place)
    return call('LINDEX', keys.ids, index) == id and place + 1
  end, function(id, place)
    local length = call('LLEN', keys.ids)
    local position = call('LPOS', keys.ids, id, 'RANK', from_right and -1 or 1)
    if not position then
      -- Removed, so that what stood next is in its place; and perhaps not alone: others that
      -- are missing count as having stood before.
      return math.max(0, place - math.max(0, length_then - length - 1))
    end
    if from_right then
      position = length - 1 - position
    end
    return position + 1
  end)
  if from_right then
    local rows = call('LRANGE', keys.ids, -(start + count), -(start + 1))
    for index = #rows, 1, -1 do
      ids[#ids + 1] = rows[index]
    end
  else
    ids = call('LRANGE', keys.ids, start, start + count - 1)
  end
  cursor_of = function(index)
    return string.format('%.0f %.0f ', start + index - 1, call('LLEN', keys.ids)) .. ids[index]
  end
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
