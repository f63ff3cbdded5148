-- Contract: job add
--@ keys config ids items publishes reserved published claimed stalled cancelled results
--@ keys scheduled scheduleditems unique info paused result[]
-- ARGV: 1 priority (0 normal, 1 high), 2 when they are due ('' now, else see job reschedule), 3 what
--       becomes of an id that is taken: keep, replace or refuse, 4 ms that the ids stay taken, or 0,
--       then id, item, id, item ..., then session and call. The keys result[] are of these ids.
-- Returns for each 1: added, 2: in the place of the one that was there, 0: nothing was done. With
-- refuse, an id that is taken is an error, and nothing is done.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include feed
--@ include size
--@ include schedule
--@ include unique
--@ include info
--@ include unlist
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_item_size', 'paused', 'events')
local refusal = refuse(config[1], 'job') or oversized(config[2], 6) or heed_events(config[4])
if refusal then
  return refusal
end
heed_pause(config[3])
local ids = {}
for index = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('HLEN', keys.items)
call('LLEN', keys.reserved)
call('ZCARD', keys.published)
call('HLEN', keys.cancelled)
call('HLEN', keys.info)
call('ZCARD', keys.results)
call('HLEN', keys.scheduleditems)
local claimed = call('ZMSCORE', keys.claimed, unpack(ids))
local scheduled = call('ZMSCORE', keys.scheduled, unpack(ids))
local stalled = call('SMISMEMBER', keys.stalled, unpack(ids))
local time = now()
local due = ARGV[2] ~= '' and math.floor(due_at(ARGV[2]))
if due and due <= time then
  due = false
end
local is_high = ARGV[1] == '1'

-- What is there is looked at first, then comes what takes memory, and what is removed comes last: a
-- server that is full refuses all of it.
local is_there, waits, dues = {}, {}, {}
for index, id in ipairs(ids) do
  is_there[index] = scheduled[index] or call('HEXISTS', keys.items, id) == 1
end
local outcomes, refused = outcomes_of(ids, ARGV[3], is_there, claimed)
if refused then
  return refused
end
local fields, times, later, later_items, put = {}, {}, {}, {}, {}
for index, id in ipairs(ids) do
  local item = ARGV[3 + 2 * index + 1]
  local stays = outcomes[index] == 2 and not due and not scheduled[index] and stalled[index] == 0
  if outcomes[index] > 0 then
    if due then
      later[#later + 1], later_items[#later_items + 1] = id, item
      dues[#dues + 1] = due + (is_high and 0.5 or 0) + #dues / 4096
    else
      fields[#fields + 1], fields[#fields + 2] = id, item
      put[#put + 1] = id
      if not stays then
        waits[#waits + 1] = id
        times[#times + 1], times[#times + 2] = text_of(time), id
      end
    end
  end
end
if #later > 0 then
  schedule_jobs(later, later_items, dues)
end
if #fields > 0 then
  call('HSET', keys.items, unpack(fields))
end
if #waits > 0 then
  call('ZADD', keys.published, unpack(times))
  call(is_high and 'RPUSH' or 'LPUSH', keys.ids, unpack(waits))
end
if #later + #fields > 0 then
  redis.pcall('INCRBY', keys.publishes, #later + #fields / 2) -- what is no number is left
end
local waited, ends = {}, {}
for index, id in ipairs(ids) do
  if outcomes[index] > 0 then
    call('DEL', keys.result[index])
    call('ZREM', keys.results, id)
    call('HDEL', keys.cancelled, id)
    call('HDEL', keys.info, id)
  end
  if outcomes[index] == 2 then
    if stalled[index] == 1 then
      call('SREM', keys.stalled, id)
    end
    if due then
      if not scheduled[index] and stalled[index] == 0 then
        -- What was put first is at the right end of the list, as a rule.
        waited[#waited + 1], ends[id] = id, -1
      end
      call('HDEL', keys.items, id)
      call('ZREM', keys.published, id)
    elseif scheduled[index] then
      call('ZREM', keys.scheduled, id)
      call('HDEL', keys.scheduleditems, id)
    end
  end
end
unlist(waited, ends)
for _, id in ipairs(later) do
  note(id, {'put', text_of(time), 'due', text_of(due)})
end
tell('put', put)
keep_taken(ids, outcomes, tonumber(ARGV[4]))
return remember(outcomes)
