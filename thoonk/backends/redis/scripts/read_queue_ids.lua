-- Contract: get_ids
-- Of a queue.
--@ keys config ids paused
-- ARGV: none
-- Returns the ids, the one that is taken last first.
-- Notices: none.
--@ include waiting
heed_pause(call('HGET', keys.config, 'paused'))
return call('LRANGE', keys.ids, 0, -1)
