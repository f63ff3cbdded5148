-- Contract: worker report
--@ keys workers
-- ARGV: 1 id of the worker, 2 for how many ms its record counts, 3 for how many ms it has worked,
-- 4 what else is known of it, as it is stored; then of each job: the number of its feed, for how
-- many ms it has been done, the number of the attempt, its id
-- Returns 1.
-- Notices: none.
--@ include clock
--@ include worker
local time = now()

local function so_long_ago(ms)
  return string.format('%.0f', time - ms)
end

local texts = {
  'reported=' .. so_long_ago(0), 'keep=' .. ARGV[2], 'started=' .. so_long_ago(ARGV[3]), ARGV[4],
}
for index = 5, #ARGV, 4 do
  local number, age, attempt, id = unpack(ARGV, index, index + 3)
  texts[#texts + 1] = 'job=' .. number .. ' ' .. so_long_ago(age) .. ' ' .. attempt .. ' ' .. id
end
call('HSET', keys.workers, ARGV[1], table.concat(texts, '\0'))
-- When nobody reports any more, nothing stays.
call('PEXPIRE', keys.workers, 3600000)
-- Those that have died are dropped bit by bit.
local some = call('HRANDFIELD', keys.workers, 10, 'WITHVALUES')
for index = 1, #some, 2 do
  if is_over(some[index + 1], time) then
    call('HDEL', keys.workers, some[index])
  end
end
return 1
