-- For test_export.sh and tests/bench/exports.sh: probabilities that an exported model gave (f32, one row a picture)
-- beside those of mnistlua. Every row must have the same most probable class, and no probability may differ by
-- `within`. With `ties`, classes whose probabilities are as near to each other as that may change places.
local ml = require "mnistlua"
local core = require "mnistlua.core"

local p = ml.params {
  got = { "", "a file of f32" }, want = { "", "a file of f32" }, classes = { 10, "columns" },
  ties = { 0.0, "the difference of classes that may change places" },
  within = { 1e-4, "how much a probability may differ" },
}

local got, want = assert(core.read_file(p.got)), assert(core.read_file(p.want))
if #got ~= #want then error(("%s has %d bytes, %s has %d"):format(p.got, #got, p.want, #want), 0) end
local rows, largest, differ, at = #want // (4 * p.classes), 0, 0, 1
for _ = 1, rows do
  local best = { 1, 1 }
  local row = { {}, {} }
  for i = 1, p.classes do
    row[1][i], row[2][i] = string.unpack("<f", got, at), string.unpack("<f", want, at)
    at = at + 4
    local distance = math.abs(row[1][i] - row[2][i])
    if not (distance <= largest) then largest = distance end
    for side = 1, 2 do
      if row[side][i] > row[side][best[side]] then best[side] = i end
    end
  end
  if best[1] ~= best[2] and not (row[2][best[2]] - row[2][best[1]] < p.ties) then differ = differ + 1 end
end
print(("%d pictures, %d with another class, largest difference of a probability %.2g"):format(rows, differ, largest))
if rows == 0 or differ > 0 or not (largest < p.within) then error("the export does not give mnistlua's answers", 0) end
