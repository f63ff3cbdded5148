-- One step through a hash, without its values: items may be large.
-- KEYS: 1 a hash
-- ARGV: 1 cursor, 2 about how many fields
-- Returns {next cursor, {field ...}}.
local reply = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local fields = {}
for index = 1, #reply[2], 2 do
  fields[#fields + 1] = reply[2][index]
end
return {reply[1], fields}
