-- What a script writes stays when a later command of it is refused: rights are asked for
-- before the first write. Servers before 7 cannot be asked.

-- An error reply when the user may not publish on one of up to three channels, else nil.
local function muted(first, second, third)
  local may = redis.acl_check_cmd
  if not may or (may('PUBLISH', first, '') and (not second or may('PUBLISH', second, ''))
      and (not third or may('PUBLISH', third, ''))) then
    return nil
  end
  for _, channel in ipairs({first, second, third}) do
    if not may('PUBLISH', channel, '') then
      return redis.error_reply('NOPERM no permission to publish on the channel ' .. channel)
    end
  end
end

-- An error reply when the user may not change the list of feeds by that command, else nil.
local function unlisted(command)
  local may = redis.acl_check_cmd
  for _, word in ipairs({'SISMEMBER', command}) do
    if may and not may(word, 'feeds', '') then
      return redis.error_reply('NOPERM no permission for the command ' .. word .. ' on feeds')
    end
  end
  return nil
end
