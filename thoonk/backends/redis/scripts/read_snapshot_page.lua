-- Contract: snapshot page
--@ keys config ids items
-- ARGV: 1 kind (feed or sorted_feed), 2 how many ids to leave out, 3 how many of the next to read
--       without items, 4 how many at most behind these, 5 bytes of items after which the page
--       ends, 6 marker channel, 7 the feed's name, 8 tag, 9 how many ids follow whose items are
--       wanted, these ids, then id, digest, id, digest ... of items that the reader has
-- Returns {mark, how many ids there are, {id ...}, {id, item ...}}. Items that the reader has,
-- and that are still the same, are left out.
-- Notices: the marker, on a channel of the caller's own: what reaches it before the marker is
-- in the page, what comes after is not.
--@ include feed
local refusal = refuse(call('HGET', keys.config, 'type'), ARGV[1])
if refusal then
  return refusal
end
local start, skip, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local last = start + skip + ARGV[4] - 1
local is_feed = ARGV[1] == 'feed'
local total = call(is_feed and 'ZCARD' or 'LLEN', keys.ids)
local listed = call(is_feed and 'ZRANGE' or 'LRANGE', keys.ids, start, last)
local first_known = 10 + ARGV[9]
local known = {}
for index = first_known, #ARGV, 2 do
  known[ARGV[index]] = ARGV[index + 1]
end

local items, size = {}, 0
local function read(id, digest)
  local item = call('HGET', keys.items, id) or ''
  size = size + #item
  -- Where there is no hashing (in memory), items are not left out.
  if not (digest and redis.sha1hex and string.sub(redis.sha1hex(item), 1, 32) == digest) then
    items[#items + 1] = id
    items[#items + 1] = item
  end
end
for index = 10, first_known - 1 do
  if size >= limit then
    break
  end
  read(ARGV[index])
end
local ids = {}
for index, id in ipairs(listed) do
  if index > skip + 1 and size >= limit then
    break
  end
  ids[index] = id
  if index > skip then
    read(id, known[id])
  end
end

-- A call that is repeated is done twice: of each marker it is known which answer it is of.
local time = call('TIME')
local mark = table.concat({ARGV[8], time[1], time[2]}, '.')
call('PUBLISH', ARGV[6], ARGV[7] .. '\0' .. mark)
return {mark, total, ids, items}
