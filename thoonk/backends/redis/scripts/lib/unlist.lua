-- Taking ids off a list, which has to be searched element by element: one id with LREM, from
-- the end where it is likely to be; many ids in one walk from both ends towards the middle.

-- Up to so many comparisons one search after the other is better than a walk.
local FEW = 500000
-- How many elements are read at once, and how far from an end all that is found may be, taken
-- together: writing to a place in a list takes the longer the farther it is.
-- From so far inside on, one end at a time is far enough.
local SLICE, FAR, INSIDE = 5000, 20000000, 200000

-- Take the ids in `wanted` (id -> anything; what is found goes from it) off the list, beginning
-- `right` and `left` elements away from its ends, and reading `most` of its elements. Returns
-- the ids that were found, and how far from the ends to go on.
local function walk(wanted, right, left, most)
  -- A full server refuses LSET unless something was written before. No id is empty.
  call('HDEL', keys.items, '')
  local length, found, seeking = call('LLEN', keys.ids), {}, 0
  local off_right, off_left = 0, 0
  while next(wanted) and most > 0 and right + left < length and seeking < FAR do
    local from_right = right <= left
    local slice = right + left > INSIDE and most or SLICE
    local size = math.min(most, slice, length - right - left)
    local start = from_right and length - right - size or left
    local rows, read = call('LRANGE', keys.ids, start, start + size - 1), 0
    while read < size and seeking < FAR do
      -- Always from the end on, so that it can stop anywhere.
      local index = from_right and size - read or read + 1
      read = read + 1
      if wanted[rows[index]] then
        -- All that is marked so is removed at once, at the end.
        call('LSET', keys.ids, start + index - 1, '')
        wanted[rows[index]] = nil
        found[#found + 1] = rows[index]
        if from_right then
          off_right, seeking = off_right + 1, seeking + right + read
        else
          off_left, seeking = off_left + 1, seeking + left + read
        end
      end
    end
    if from_right then
      right = right + read
    else
      left = left + read
    end
    most = most - read
  end
  if off_right > 0 then
    call('LREM', keys.ids, -off_right, '')
  end
  if off_left > 0 then
    call('LREM', keys.ids, off_left, '')
  end
  return found, right - off_right, left - off_left
end

-- Take jobs off the list of what waits, else off that of what is reserved, all in this step. `ends` is
-- of each id the end at which it is likely to be, as LREM counts.
local function unlist(ids, ends)
  if #ids == 1 or #ids * call('LLEN', keys.ids) <= FEW then
    for _, id in ipairs(ids) do
      if call('LREM', keys.ids, ends[id], id) == 0 then
        call('LREM', keys.reserved, 1, id)
      end
    end
    return
  end
  local _, right, left = nil, 0, 0
  repeat
    _, right, left = walk(ends, right, left, 1e15)
  until not next(ends) or right + left >= call('LLEN', keys.ids)
  for id in pairs(ends) do
    call('LREM', keys.reserved, 1, id)
  end
end
