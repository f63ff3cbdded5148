-- Where the ids of what waits are. While the feed is paused they are in another list, at which no
-- consumer looks. What a peer that does not know of pauses puts or gives back meanwhile, it pushes to
-- the list of consumers all the same: the inbox.
local inbox, is_paused = keys.ids, false

-- From here on `keys.ids` is the list of what waits. `flag` is the field `paused` of the
-- configuration.
local function heed_pause(flag)
  is_paused = flag == '1'
  if is_paused then
    -- Refused here, before anything is written, where a key is of another type.
    call('LLEN', inbox)
    call('LLEN', keys.paused)
    keys.ids = keys.paused
  end
end

-- How many elements of the lists of what waits are no ids: see `ring` in schedule.lua.
local function bells()
  local count = 0
  for _, list in ipairs({keys.ids, keys.reserved}) do
    if call('LPOS', list, '', 'RANK', -1, 'MAXLEN', 1000) then
      count = count + 1
    end
  end
  return count
end

-- While paused, move up to `count` ids from the inbox to the end of what waits; before these, what
-- a blocked consumer has reserved, for that was in the inbox, too.
local function empty_inbox(count)
  if not is_paused then
    return
  end
  for _, list in ipairs({keys.reserved, inbox}) do
    local ids = call('RPOP', list, count)
    if ids and #ids > 0 then
      call('LPUSH', keys.ids, unpack(ids))
    end
  end
end
