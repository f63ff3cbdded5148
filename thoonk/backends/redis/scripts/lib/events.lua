-- Events of jobs, of feeds that are configured with `events`: each is told in the step in which it
-- happens, with the job's id and perhaps more, on a channel of the feed's.
--@ include notify
local events

-- `flag` is the field `events` of the configuration. An error reply when the user may not publish
-- the events, else nil.
local function heed_events(flag)
  if flag == '1' then
    events = 'job.event:' .. string.sub(keys.config, #'feed.config:' + 1)
    return muted(events)
  end
end

-- Tell that something has happened to jobs; `more` is the same for all of them.
local function tell(event, ids, more)
  if events then
    for _, id in ipairs(ids) do
      call('PUBLISH', events, event .. '\0' .. id .. (more and '\0' .. more or ''))
    end
  end
end
