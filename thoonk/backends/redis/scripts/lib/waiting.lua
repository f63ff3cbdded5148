-- Where the ids of what waits are. While the feed is paused they are in another list, at which no
-- taker looks. What a peer that does not know of pauses puts or gives back meanwhile, it pushes to
-- the list of takers all the same: the inbox.
local inbox, is_paused = keys.ids, false

-- From here on `keys.ids` is the list of what waits. `flag` is the field `paused` of the
-- configuration.
local function heed_pause(flag)
  is_paused = flag == '1'
  if is_paused then
    keys.ids = keys.paused
  end
end

-- While paused, move up to `count` ids from the inbox to the end of what waits; before these, what
-- a blocked taker has reserved, for that was in the inbox, too.
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
