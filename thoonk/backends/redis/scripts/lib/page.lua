-- Parts of long collections, one after another. A cursor is the place of the id that was read last
-- (its score, or its index and the length of the list), and that id, with spaces between. Where it
-- still stands there, the next one is next to it.
--@ include clock
--@ include numbers

-- Up to `count` ids of a sorted set behind `cursor`; without one, `start` are left out. Returns them,
-- their scores, and a function that makes the cursor of the one with an index.
local function page_of_zset(key, cursor, start, count, reverse)
  local score, last = string.match(cursor, '^(%S+) (.*)$')
  if score then
    local now_at = call('ZSCORE', key, last)
    if now_at and text_of(number_of(now_at)) == score then
      start = call(reverse and 'ZREVRANK' or 'ZRANK', key, last) + 1
    else
      -- Removed or moved since: after all that stood before it.
      start = call('ZCOUNT', key, reverse and score or '-inf', reverse and '+inf' or score)
    end
  end
  local rows = call(
    reverse and 'ZREVRANGE' or 'ZRANGE', key, start, start + count - 1, 'WITHSCORES')
  local ids, scores = {}, {}
  for index = 1, #rows, 2 do
    ids[#ids + 1], scores[#scores + 1] = rows[index], rows[index + 1]
  end
  return ids, scores, function(index)
    return text_of(number_of(scores[index])) .. ' ' .. ids[index]
  end
end

-- The same of a list, which is read from the right, where items are taken, or from the left. The
-- cursor is made by the second of what it returns.
local function page_of_list(key, cursor, start, count, from_right)
  local place, length_then, last = string.match(cursor, '^(%d+) (%d+) (.*)$')
  local length = call('LLEN', key)
  if place and call('LINDEX', key, from_right and -place - 1 or tonumber(place)) == last then
    start = place + 1
  elseif place then
    local position = call('LPOS', key, last, 'RANK', from_right and -1 or 1)
    if not position then
      -- Removed, so that what stood next is in its place; and perhaps not alone: others that
      -- are missing count as having stood before.
      start = math.max(0, place - math.max(0, length_then - length - 1))
    else
      start = (from_right and length - 1 - position or position) + 1
    end
  end
  local ids = {}
  if from_right then
    local rows = call('LRANGE', key, -(start + count), -(start + 1))
    for index = #rows, 1, -1 do
      ids[#ids + 1] = rows[index]
    end
  else
    ids = call('LRANGE', key, start, start + count - 1)
  end
  return ids, function(index)
    return string.format('%.0f %.0f ', start + index - 1, length) .. ids[index]
  end
end
