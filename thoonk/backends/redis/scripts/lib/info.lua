-- What is known of a job besides its item (`info`: id -> texts NAME=VALUE, joined by NUL), only of
-- jobs of which something is. Names that are not known here are kept.

-- Note `facts`, a list name, value, name, value ...; an empty value removes the name.
local function note(id, facts)
  local known, is_new = call('HGET', keys.info, id) or '', {}
  for index = 1, #facts, 2 do
    is_new[facts[index]] = true
  end
  local texts = {}
  for text in string.gmatch(known, '%Z+') do
    if not is_new[string.match(text, '^[^=]*')] then
      texts[#texts + 1] = text
    end
  end
  for index = 1, #facts, 2 do
    if facts[index + 1] ~= '' then
      texts[#texts + 1] = facts[index] .. '=' .. facts[index + 1]
    end
  end
  if #texts > 0 then
    call('HSET', keys.info, id, table.concat(texts, '\0'))
  else
    call('HDEL', keys.info, id)
  end
end
