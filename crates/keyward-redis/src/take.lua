-- Takes permissions of every quota of every bucket, or of none: the generic cell rate algorithm, as a debt that time pays off.
--
-- KEYS   one hash for each bucket
-- ARGV   '1' to look only; the cost; then for each bucket how many quotas it has, and for each of them
--        count, window in nanoseconds, units in a microsecond, interval, cost and span in units
-- reply  1 or 0; the server's time in microseconds; each quota's debt in units
--
-- A hash holds a field for each window: count, interval, units in a microsecond, debt, and the time of that debt. A window
-- that counts no more has a sixth number: what 'charged' was when it was retired. All numbers are whole and below 2^53, which
-- a double holds exactly; a sum of two spans could be larger.

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

local function entry_of(text)
  if not text then return nil end
  local count, interval, rate, debt, at, seen = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) ?(%d*)$')
  local entry = { text = text, count = count, rate = tonumber(rate), interval = tonumber(interval), seen = tonumber(seen) }
  entry.span = tonumber(count) * entry.interval
  entry.debt = math.max(0, tonumber(debt) - (now - at) * entry.rate)
  -- More than all can be taken only where the clock stepped back. As long as the next permission comes within a window, that is
  -- waited for: a clock that trembles would otherwise forgive a part each time it does. Nobody is locked out for longer.
  entry.stepped = entry.debt > 2 * entry.span - entry.interval
  if entry.stepped then entry.debt = entry.span end
  return entry
end

-- A part of a permission counts as one. fmod is exact where a division would be rounded.
local function permissions(entry)
  local part = math.fmod(entry.debt, entry.interval)
  return (entry.debt - part) / entry.interval + (part > 0 and 1 or 0)
end

local function life(window)
  return math.ceil(window / 1000000) + 1000
end

local MOST_RETIRED = 8

-- The bucket was counted under other quotas before: what was taken stays taken (R9.4). A window that counted here goes on from
-- where it stood, with what was taken meanwhile; a new one starts with what was taken of the quota of which most was.
local function move(bucket)
  local entries, list = {}, redis.call('HGETALL', bucket.key)
  for index = 1, #list, 2 do
    if tonumber(list[index]) then entries[list[index]] = entry_of(list[index + 1]) end
  end
  local most = 0
  for window in string.gmatch(bucket.before, '/(%d+)') do
    local entry = entries[window]
    if entry then
      most = math.max(most, permissions(entry))
      entry.text, entry.seen = entry.text .. ' ' .. digits(bucket.charged), bucket.charged
    end
  end
  for _, quota in ipairs(bucket.quotas) do
    local entry = entries[quota.window]
    if entry and entry.count == quota.count and entry.seen == bucket.charged then
      -- As it was: in whole permissions, what has come back of the next one would be taken again.
      quota.debt = entry.debt
    else
      local taken = entry and permissions(entry) + bucket.charged - entry.seen or most
      quota.debt = math.min(taken, tonumber(quota.count)) * quota.interval
    end
    entries[quota.window] = nil
  end
  local retired = {}
  for window, entry in pairs(entries) do
    entry.window = window
    retired[#retired + 1] = entry
  end
  table.sort(retired, function(one, other)
    if one.seen ~= other.seen then return one.seen > other.seen end
    return one.window < other.window
  end)
  bucket.retired, bucket.forgotten = {}, {}
  for index, entry in ipairs(retired) do
    if index > MOST_RETIRED then
      table.insert(bucket.forgotten, entry.window)
    else
      table.insert(bucket.retired, entry)
      bucket.life = math.max(bucket.life, life(entry.window))
    end
  end
end

local buckets, given, debts = {}, true, {}
for index, key in ipairs(KEYS) do
  local bucket = { key = key, quotas = {}, life = 0 }
  local names, fields = {}, { 'quotas', 'charged', 'life' }
  for number = 1, tonumber(argument()) do
    local quota = { count = argument(), window = argument(), rate = argument() }
    quota.interval, quota.cost, quota.span = tonumber(argument()), tonumber(argument()), tonumber(argument())
    bucket.quotas[number] = quota
    bucket.life = math.max(bucket.life, life(quota.window))
    names[number], fields[number + 3] = quota.count .. '/' .. quota.window, quota.window
  end
  bucket.name = table.concat(names, ' ')
  local kept = redis.call('HMGET', key, unpack(fields))
  bucket.before, bucket.charged = kept[1], tonumber(kept[2] or 0)
  bucket.counts_charges = kept[2] ~= false
  if bucket.before and bucket.before ~= bucket.name then
    move(bucket)
    bucket.changed = true
  else
    bucket.life = math.max(bucket.life, tonumber(kept[3] or 0))
    for number, quota in ipairs(bucket.quotas) do
      local entry = entry_of(kept[number + 3])
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
  for _, quota in ipairs(bucket.quotas) do
    if given then quota.debt = quota.debt + quota.cost end
    debts[#debts + 1] = quota.debt
    set(quota.window, table.concat({ quota.count, digits(quota.interval), quota.rate, digits(quota.debt), digits(now) }, ' '))
  end
  -- What has to be converted or cut is written down even where nothing is given: else it would be so again at each request,
  -- from a debt that never falls.
  if not look_only and (given or bucket.changed) then
    if bucket.before ~= bucket.name then set('quotas', bucket.name) end
    if bucket.retired and #bucket.retired > 0 then
      bucket.counts_charges = true
      set('life', digits(bucket.life))
      for _, entry in ipairs(bucket.retired) do set(entry.window, entry.text) end
    end
    if bucket.counts_charges then set('charged', digits(bucket.charged + (given and cost or 0))) end
    redis.call('HSET', bucket.key, unpack(values))
    if bucket.forgotten and #bucket.forgotten > 0 then redis.call('HDEL', bucket.key, unpack(bucket.forgotten)) end
    redis.call('PEXPIRE', bucket.key, digits(bucket.life))
  end
end

return { given and 1 or 0, now, unpack(debts) }
