-- Contract: job pages
--@ keys config ids items reserved published claimed stalled cancelled scheduled scheduleditems
--@ keys info paused holders running
-- ARGV: 1 state, 2 cursor or '', 3 how many at most, 4 bytes after which the page ends
-- Returns {cursor or '', id, item, time put or '', time due or '', time claimed or '', how often
-- cancelled or '', what else is known, id ...}. Scheduled jobs come in the order of their times,
-- claimed ones in that of their scores, waiting ones as they will be taken, stalled ones in no order.
-- Notices: none.
--@ include feed
--@ include page
--@ include waiting
--@ include running
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
heed_pause(config[2])
local state, cursor, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids, cursor_of, is_last, _ = {}, nil, true, nil
if state == 'stalled' then
  local step = call('SSCAN', keys.stalled, cursor == '' and '0' or cursor, 'COUNT', math.min(count, 100))
  ids, is_last = step[2], step[1] == '0'
  cursor_of = function()
    return step[1]
  end
elseif state == 'waiting' then
  ids, cursor_of = page_of_list(keys.ids, cursor, 0, count, true)
  is_last = #ids < count
  if cursor == '' then
    -- What a blocked consumer has reserved is next.
    local reserved, listed, cursor_of_listed = call('LRANGE', keys.reserved, 0, -1), ids, cursor_of
    ids = {}
    for index = #reserved, 1, -1 do
      ids[#ids + 1] = reserved[index]
    end
    for _, id in ipairs(listed) do
      ids[#ids + 1] = id
    end
    cursor_of = function(index)
      return index > #reserved and cursor_of_listed(index - #reserved) or ''
    end
  end
else
  local key = state == 'scheduled' and keys.scheduled or keys.claimed
  ids, _, cursor_of = page_of_zset(key, cursor, 0, count, false)
  is_last = #ids < count
end

local answer, size, read = {''}, 0, #ids
if read > 0 then
  local put, due = call('ZMSCORE', keys.published, unpack(ids)), {}
  local claimed, cancelled = {}, call('HMGET', keys.cancelled, unpack(ids))
  if state == 'scheduled' then
    due = call('ZMSCORE', keys.scheduled, unpack(ids))
  elseif state == 'claimed' then
    claimed = first_claimed(ids, claims_on(ids))
    for index, since in ipairs(claimed) do
      claimed[index] = since and text_of(since)
    end
  end
  local items = state == 'scheduled' and keys.scheduleditems or keys.items
  for index, id in ipairs(ids) do
    local item, info = call('HGET', items, id), call('HGET', keys.info, id) or ''
    if item then
      for _, word in ipairs({
        id, item, put[index] or '', due[index] or '', claimed[index] or '', cancelled[index] or '',
        info,
      }) do
        answer[#answer + 1] = word
      end
      size = size + #item + #info
    end
    local is_full = size >= tonumber(ARGV[4]) and state ~= 'stalled' and index < read
    if is_full and cursor_of(index) ~= '' then
      is_last, read = false, index
      break
    end
  end
end
answer[1] = is_last and '' or cursor_of(read)
return answer
