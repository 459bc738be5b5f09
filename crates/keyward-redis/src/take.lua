-- Takes permissions of every quota of every bucket, or of none: the generic cell rate algorithm, as a debt that time pays off.
--
-- KEYS   one hash for each bucket
-- ARGV   '1' to look only; the cost; then for each bucket how many quotas it has, and for each of them
--        count, window in nanoseconds, units in a microsecond, interval, cost and span in units
-- reply  1 or 0; the server's time in microseconds; each quota's debt in units
--
-- A hash holds
--   COUNT/WINDOW  for each quota: interval, units in a microsecond, debt, and the time of that debt; and of one that counts no
--                 more, how many permissions had been charged when it was retired
--   quotas        which of them are in force
--   history       only where quotas have changed: how many permissions were charged since, when that was, and until when a debt
--                 may be less than what was charged
-- All numbers are whole and at most 2^53, which a double holds exactly; a sum of two spans could be larger.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local look_only, cost = ARGV[1] == '1', tonumber(ARGV[2])
local read = 2
local function argument()
  read = read + 1
  return ARGV[read]
end

-- Not tostring, which keeps 14 digits.
local function digits(number)
  return string.format('%.0f', number)
end

-- Somebody else may have written there. What is not as it was written here is no number.
local function number_of(text)
  local number = tonumber(text)
  return number and number <= 9007199254740992 and number or nil
end

-- 'of': the quota in force that it is an entry of, if it is one.
local function entry_of(name, text, of)
  local count, window = string.match(name, '^(%d+)/(%d+)$')
  local interval, rate, debt, at, seen = string.match(text, '^(%d+) (%d+) (%d+) (%d+) ?(%d*)$')
  local entry = { name = name, window = window, count = number_of(count), interval = number_of(interval), rate = number_of(rate) }
  entry.at, entry.seen = number_of(at), number_of(seen)
  debt = number_of(debt)
  if not (entry.count and entry.interval and entry.rate and entry.at and debt) then return nil end
  local span = entry.count * entry.interval
  -- What the division by the count left over, and what a double may lack.
  if math.abs(span * 1000 / entry.rate - tonumber(window)) > entry.count * 1000 / entry.rate + 8 then return nil end
  if entry.interval < 1 or of and (entry.interval ~= of.interval or entry.rate ~= of.rate) then return nil end
  entry.debt = math.max(0, debt - (now - entry.at) * entry.rate)
  -- More than all can be taken only where the clock stepped back. As long as what this request costs comes within a window, that
  -- is waited for: a clock that trembles would otherwise forgive a part each time it does. Nobody is locked out for longer.
  entry.stepped = entry.debt > 2 * span - (of and of.cost or entry.interval)
  if entry.stepped then entry.debt = span end
  return entry
end

-- A part of a permission counts as one. fmod is exact where a division would be rounded.
local function permissions(entry)
  local part = math.fmod(entry.debt, entry.interval)
  return (entry.debt - part) / entry.interval + (part > 0 and 1 or 0)
end

local function is_after(since, window)
  return (now - since) * 1000 >= tonumber(window)
end

local function life(window)
  return math.ceil(window / 1000000) + 1000
end

-- All of a hash: what is in force and what is remembered of quotas that were. Nothing if some of it cannot be read.
local function contents(bucket)
  local entries, history, list = {}, {}, redis.call('HGETALL', bucket.key)
  for index = 1, #list, 2 do
    local field, text = list[index], list[index + 1]
    if string.find(field, '/', 1, true) then
      entries[field] = entry_of(field, text, bucket.named[field])
      if not entries[field] then return nil end
    elseif field == 'history' then
      history.charged, history.moved, history.cut = string.match(text, '^(%d+) (%d+) (%d+)$')
      history.charged, history.moved = number_of(history.charged), number_of(history.moved)
      history.cut = number_of(history.cut)
      if not (history.charged and history.moved and history.cut) then return nil end
    end
  end
  history.charged, history.moved, history.cut = history.charged or 0, history.moved or 0, history.cut or 0
  local in_force, windows, last = {}, {}, nil
  for name in string.gmatch(bucket.before, '%S+') do
    local entry = entries[name]
    if not entry then return nil end
    entries[name] = nil
    entry.seen, in_force[name], windows[entry.window] = history.charged, entry, true
    last = math.max(last or 0, entry.at)
  end
  if not last then return nil end
  local retired, forgotten = {}, {}
  for name, entry in pairs(entries) do
    if not entry.seen or entry.seen > history.charged then return nil end
    -- All of it is back, and what was taken since would be; or one of its window has counted for that long.
    local is_over = entry.debt == 0 and (entry.seen == history.charged or is_after(last, entry.window))
      or windows[entry.window] and is_after(history.moved, entry.window)
    if not is_over then
      table.insert(retired, entry)
    elseif not bucket.named[name] then
      table.insert(forgotten, name)
    end
  end
  return in_force, retired, forgotten, history
end

local MOST_RETIRED = 8

-- The bucket was counted under other quotas before: what was taken stays taken (R9.4), as in the core's 'limit/cells.rs'.
local function move(bucket, in_force, retired, history)
  local known, longest, is_cut = {}, 0, false
  for _, entry in pairs(in_force) do known[#known + 1] = entry end
  for _, entry in ipairs(retired) do known[#known + 1] = entry end
  local by_name, by_window, most = {}, {}, 0
  for _, entry in ipairs(known) do
    entry.out = permissions(entry) + history.charged - entry.seen
    by_name[entry.name] = entry
    by_window[entry.window] = math.max(by_window[entry.window] or 0, entry.out)
    most = math.max(most, entry.out)
    longest = math.max(longest, tonumber(entry.window))
  end
  for _, quota in ipairs(bucket.quotas) do
    local entry = by_name[quota.name]
    if entry then
      -- No whole permissions: what has come back of the next one would be taken again with each change.
      quota.debt = entry.debt + (history.charged - entry.seen) * quota.interval
    else
      quota.debt = (now >= history.cut and by_window[quota.window] or most) * quota.interval
    end
    if quota.debt > quota.span then quota.debt, is_cut = quota.span, true end
    longest = math.max(longest, tonumber(quota.window))
  end
  if is_cut then history.cut = math.max(history.cut, now + math.ceil(longest / 1000)) end
  history.moved = now
  local kept, forgotten = {}, {}
  -- Whatever has more out tells more, should the one that is left out come back.
  table.sort(known, function(one, other)
    if one.out ~= other.out then return one.out > other.out end
    if one.window ~= other.window then return tonumber(one.window) < tonumber(other.window) end
    return one.count < other.count
  end)
  for _, entry in ipairs(known) do
    if not bucket.named[entry.name] then
      local is_kept = entry.out > 0 and #kept < MOST_RETIRED
      table.insert(is_kept and kept or forgotten, is_kept and entry or entry.name)
    end
  end
  return kept, forgotten
end

-- What was there is given up: it begins anew, as spent. Whoever is counted there waits for as long as after any other burst,
-- and nobody else does.
local function spend(bucket)
  bucket.is_broken, bucket.changed = true, true
  for _, quota in ipairs(bucket.quotas) do quota.debt = quota.span end
end

local function recall(bucket)
  local in_force, retired, forgotten, history = contents(bucket)
  if not in_force then return spend(bucket) end
  if bucket.before ~= bucket.name then
    local more
    retired, more = move(bucket, in_force, retired, history)
    for _, name in ipairs(more) do forgotten[#forgotten + 1] = name end
    bucket.changed, bucket.rewritten = true, retired
  else
    for _, quota in ipairs(bucket.quotas) do
      local entry = in_force[quota.name]
      quota.debt, bucket.changed = entry.debt, bucket.changed or entry.stepped
    end
  end
  bucket.forgotten = forgotten
  if #retired > 0 or now < history.cut then
    bucket.history = history
    for _, entry in ipairs(retired) do bucket.life = math.max(bucket.life, life(entry.window)) end
    bucket.life = math.max(bucket.life, life((history.cut - now) * 1000))
  else
    forgotten[#forgotten + 1] = 'history'
  end
end

local buckets, given, debts = {}, true, {}
for index, key in ipairs(KEYS) do
  local bucket = { key = key, quotas = {}, named = {}, life = 0 }
  local names = {}
  for number = 1, tonumber(argument()) do
    local count, window = argument(), argument()
    local quota = { name = count .. '/' .. window, window = window, rate = tonumber(argument()) }
    quota.interval, quota.cost, quota.span = tonumber(argument()), tonumber(argument()), tonumber(argument())
    bucket.quotas[number], bucket.named[quota.name], names[number] = quota, quota, quota.name
    bucket.life = math.max(bucket.life, life(window))
  end
  bucket.name = table.concat(names, ' ')
  local kept = redis.pcall('HMGET', key, 'quotas', 'history', unpack(names))
  if kept.err and not string.find(kept.err, 'WRONGTYPE', 1, true) then return kept end
  bucket.before = kept[1]
  if kept.err then
    spend(bucket)
  elseif kept[1] and (kept[1] ~= bucket.name or kept[2]) then
    recall(bucket)
  else
    for number, quota in ipairs(bucket.quotas) do
      local text = kept[number + 2]
      local entry = text and entry_of(quota.name, text, quota)
      -- Both are written, or neither.
      if (kept[1] and true or false) ~= (entry and true or false) then
        spend(bucket)
        break
      end
      quota.debt = entry and entry.debt or 0
      bucket.changed = bucket.changed or entry and entry.stepped
    end
  end
  for _, quota in ipairs(bucket.quotas) do
    given = given and quota.debt <= quota.span - quota.cost
  end
  buckets[index] = bucket
end

for _, bucket in ipairs(buckets) do
  local values = {}
  local function set(field, value)
    values[#values + 1], values[#values + 2] = field, value
  end
  local function set_entry(entry, seen)
    set(entry.name, table.concat({ digits(entry.interval), digits(entry.rate), digits(entry.debt), digits(now), seen }, ' '))
  end
  for _, quota in ipairs(bucket.quotas) do
    if given then quota.debt = quota.debt + quota.cost end
    debts[#debts + 1] = quota.debt
    set_entry(quota)
  end
  -- What has to be converted or cut is written down even where nothing is given: else it would be so again at each request,
  -- from a debt that never falls.
  if not look_only and (given or bucket.changed) then
    -- Removes it, which DEL would need another permission for.
    if bucket.is_broken then redis.call('PEXPIRE', bucket.key, 0) end
    if bucket.is_broken or bucket.before ~= bucket.name then set('quotas', bucket.name) end
    for _, entry in ipairs(bucket.rewritten or {}) do set_entry(entry, digits(entry.seen)) end
    local history = bucket.history
    if history then
      local charged = history.charged + (given and cost or 0)
      set('history', table.concat({ digits(charged), digits(history.moved), digits(history.cut) }, ' '))
    end
    redis.call('HSET', bucket.key, unpack(values))
    if bucket.forgotten and #bucket.forgotten > 0 then redis.call('HDEL', bucket.key, unpack(bucket.forgotten)) end
    redis.call('PEXPIRE', bucket.key, digits(bucket.life))
  end
end

return { given and 1 or 0, now, unpack(debts) }
