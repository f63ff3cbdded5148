-- Contract: schedules
--@ keys config schedules runs runtimes
-- ARGV: names; none: all
-- Returns {name, schedule, when it is due next in ms or '', when after that, name ...}.
-- Notices: none.
--@ include feed
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
local names, answer = #ARGV > 0 and ARGV or call('HKEYS', keys.schedules), {}
for _, name in ipairs(names) do
  local schedule = call('HGET', keys.schedules, name)
  if schedule then
    for _, word in ipairs({
      name, schedule, call('ZSCORE', keys.runs, name) or '',
      call('HGET', keys.runtimes, name) or '',
    }) do
      answer[#answer + 1] = word
    end
  end
end
return answer
