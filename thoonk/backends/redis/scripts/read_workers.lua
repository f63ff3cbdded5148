-- Contract: worker list
--@ keys workers
-- ARGV: 1 cursor, or '0', 2 about how many records to look at
-- Returns {the next cursor, or '0', the time in ms, then of each worker its id and its record}.
-- Notices: none.
--@ include clock
--@ include worker
local time = now()
local cursor, rows = unpack(call('HSCAN', keys.workers, ARGV[1], 'COUNT', ARGV[2]))
local found = {cursor, string.format('%.0f', time)}
for index = 1, #rows, 2 do
  if not is_over(rows[index + 1], time) then
    found[#found + 1] = rows[index]
    found[#found + 1] = rows[index + 1]
  end
end
return found
