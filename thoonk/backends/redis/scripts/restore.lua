-- Contract: restore
--@ keys config ids items publishes idincr reserved published claimed stalled cancelled results
--@ keys scheduled scheduleditems unique info schedules runs runtimes paused result[]
-- ARGV: 1 the feed's kind, the channels 2 publish, 3 edit, 4 retract, 5 position, 6 finish, 7 how many
--       entries; of each entry nine words: what it is (item, waiting, scheduled, stalled, result or
--       taken), id, item, time in ms or '', time put or '', 1 for high priority, how often cancelled,
--       what else is known of a job, of a result its kind or 'bare' (without the item); then of each
--       schedule four: name, schedule, when it is due next or '', when after that; then session and
--       call. What is known of a result is the result. The keys result[] are those of the results.
-- Returns for each entry, then for each schedule, 1: added, 2: an item was replaced, 0: it was there.
-- Notices: of each item, publish (and position) or edit; retract of what max_length pushed out; of
-- each result, finish; of each job, put, scheduled or stalled where the feed wants that told.
--@ include once
--@ include feed
--@ include schedule
--@ include trim
--@ include order
if answered then
  return answered
end
local kind, last_entry = ARGV[1], 7 + 9 * ARGV[7]
local config = call('HMGET', keys.config, 'type', 'max_length', 'max_item_size', 'paused', 'events')
local refusal = refuse(config[1], kind)
if refusal then
  return refusal
end
local limit, largest, has_results = count_in(config[2]), count_in(config[3]), false
for at = 8, last_entry, 9 do
  if ARGV[at] == 'result' then
    has_results = true
  elseif largest > 0 and #ARGV[at + 2] > largest then
    return redis.error_reply('TOOLARGE ' .. #ARGV[at + 2] .. ' ' .. largest)
  end
end
if kind == 'feed' then
  refusal = muted(ARGV[2], ARGV[3], limit > 0 and ARGV[4] or nil)
elseif kind == 'sorted_feed' then
  refusal = muted(ARGV[2], ARGV[3], ARGV[5])
elseif kind == 'job' then
  refusal = heed_events(config[5]) or has_results and muted(ARGV[6])
end
if refusal then
  return refusal
end
if kind == 'queue' or kind == 'job' then
  heed_pause(config[4])
end

-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
local last, given = {}, 0
if kind == 'feed' then
  last = call('ZRANGE', keys.ids, -1, -1, 'WITHSCORES')
else
  call('LLEN', keys.ids)
end
if kind == 'sorted_feed' then
  given = count_in(call('GET', keys.idincr))
end
if kind == 'job' then
  call('ZCARD', keys.published)
  call('SCARD', keys.stalled)
  call('HLEN', keys.cancelled)
  call('HLEN', keys.info)
  call('ZCARD', keys.results)
  call('ZCARD', keys.scheduled)
  call('HLEN', keys.scheduleditems)
  call('HLEN', keys.schedules)
  call('ZCARD', keys.runs)
  call('HLEN', keys.runtimes)
end
if kind == 'queue' or kind == 'job' then
  call('ZCARD', keys.unique)
end

local time, count, outcomes = now(), 0, {}
local later, later_items, dues, is_later, results = {}, {}, {}, {}, 0
local score, highest = last[2] and number_of(last[2]) or 0, given

local function restore_item(id, item, at)
  local before = call('HGET', keys.items, id)
  if before == item then
    return 0
  end
  call('HSET', keys.items, id, item)
  if kind == 'feed' then
    score = math.max(tonumber(at) or time, score == 0 and 0 or after(score))
    call('ZADD', keys.ids, text_of(score), id)
  elseif not before then
    call('RPUSH', keys.ids, id)
    highest = math.max(highest, count_in(id))
  end
  count = count + 1
  call('PUBLISH', before and ARGV[3] or ARGV[2], id .. '\0' .. item)
  if kind == 'sorted_feed' and not before then
    call('PUBLISH', ARGV[5], id .. '\0:end')
  end
  return before and 2 or 1
end

local function restore_result(id, item, at, form, result)
  results = results + 1
  local key = keys.result[results]
  local keep = at ~= '' and tonumber(at) - time
  if keep and keep < 1 or call('EXISTS', key) == 1 then
    return 0
  end
  if form == 'bare' then
    call('RPUSH', key, result)
  else
    call('RPUSH', key, form, item, result)
  end
  if keep then
    call('PEXPIRE', key, string.format('%.0f', keep))
  end
  call('ZADD', keys.results, keep and at or '+inf', id)
  call('PUBLISH', ARGV[6], id .. '\0' .. result)
  return 1
end

local function restore_taken(id, at)
  local before = call('ZSCORE', keys.unique, id)
  if tonumber(at) <= time or before and number_of(before) >= tonumber(at) then
    return 0
  end
  call('ZADD', keys.unique, at, id)
  return 1
end

local function restore_job(at, id)
  if is_later[id] or call('HEXISTS', keys.items, id) == 1
    or kind == 'job' and call('ZSCORE', keys.scheduled, id) then
    return 0
  end
  local what, item, due, put, failures = ARGV[at], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 6]
  if what == 'scheduled' then
    is_later[id] = true
    later[#later + 1], later_items[#later_items + 1] = id, item
    dues[#dues + 1] = math.floor(due) + (ARGV[at + 5] == '1' and 0.5 or 0) + #dues / 4096
  else
    call('HSET', keys.items, id, item)
    if what == 'stalled' then
      call('SADD', keys.stalled, id)
      tell('stalled', {id})
    else
      if kind == 'job' then
        call('ZADD', keys.published, put == '' and text_of(time) or put, id)
        tell('put', {id})
      end
      call('LPUSH', keys.ids, id)
    end
  end
  if failures ~= '0' then
    call('HSET', keys.cancelled, id, failures)
  end
  if ARGV[at + 7] ~= '' then
    call('HSET', keys.info, id, ARGV[at + 7])
  end
  count = count + 1
  return 1
end

for at = 8, last_entry, 9 do
  local what, id, item = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if what == 'item' then
    outcomes[#outcomes + 1] = restore_item(id, item, ARGV[at + 3])
  elseif what == 'result' then
    outcomes[#outcomes + 1] = restore_result(id, item, ARGV[at + 3], ARGV[at + 8], ARGV[at + 7])
  elseif what == 'taken' then
    outcomes[#outcomes + 1] = restore_taken(id, ARGV[at + 3])
  else
    outcomes[#outcomes + 1] = restore_job(at, id)
  end
end
if #later > 0 then
  schedule_jobs(later, later_items, dues)
end
if kind == 'feed' and limit > 0 then
  local excess = math.min(call('ZCARD', keys.ids) - limit, 1000 + count)
  if excess > 0 then
    trim(call('ZRANGE', keys.ids, 0, excess - 1), ARGV[4])
  end
end
if highest > given then
  call('INCRBY', keys.idincr, string.format('%.0f', highest - given))
end
if count > 0 then
  redis.pcall('INCRBY', keys.publishes, count) -- what is no number is left
end
for at = last_entry + 1, #ARGV, 4 do
  local name, due = ARGV[at], ARGV[at + 2]
  if call('HEXISTS', keys.schedules, name) == 1 then
    outcomes[#outcomes + 1] = 0
  else
    call('HSET', keys.schedules, name, ARGV[at + 1])
    if due ~= '' then
      call('ZADD', keys.runs, due, name)
      if ARGV[at + 3] ~= '' then
        call('HSET', keys.runtimes, name, ARGV[at + 3])
      end
      if call('ZRANK', keys.runs, name) == 0 then
        ring()
      end
    end
    outcomes[#outcomes + 1] = 1
  end
end
return remember(outcomes)
