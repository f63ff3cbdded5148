-- Records of workers: texts NAME=VALUE, joined by NULs.

-- Whether a record counts no more: its time is over. One from a time that has yet to come, by more
-- than it is kept, is of a clock that was turned back; its worker reports again.
local function is_over(record, time)
  local since = tonumber(string.match('\0' .. record, '%zreported=(%d+)'))
  local keep = tonumber(string.match('\0' .. record, '%zkeep=(%d+)'))
  return not (since and keep) or math.abs(time - since) >= keep
end
