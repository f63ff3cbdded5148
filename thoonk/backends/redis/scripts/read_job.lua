-- Contract: job info
--@ keys config items published claimed stalled cancelled scheduled scheduleditems info
--@ keys holders running result[]
-- ARGV: 1 id. The key result[1] is that of its result.
-- Returns {state, time put or '', time due or '', time claimed or '', how often cancelled or '', 1 if
-- there is a result, what else is known}; or {} where neither job nor result is there.
-- Notices: none.
--@ include feed
--@ include running
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
local id = ARGV[1]
local has_result = call('EXISTS', keys.result[1])
local due, claimed = call('ZSCORE', keys.scheduled, id), call('ZSCORE', keys.claimed, id)
local state
if due and call('HEXISTS', keys.scheduleditems, id) == 1 then
  state, claimed = 'scheduled', false
elseif call('HEXISTS', keys.items, id) == 0 then
  if has_result == 0 then
    return {}
  end
  state, due, claimed = 'finished', false, false
else
  due = false
  state = claimed and 'claimed' or call('SISMEMBER', keys.stalled, id) == 1 and 'stalled' or 'waiting'
end
if claimed then
  claimed = text_of(first_claimed({id}, {claimed}, {call('HGET', keys.holders, id)})[1])
end
return {
  state, call('ZSCORE', keys.published, id) or '', due or '', claimed or '',
  call('HGET', keys.cancelled, id) or '', has_result, call('HGET', keys.info, id) or '',
}
