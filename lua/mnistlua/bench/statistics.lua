-- What is said of repeated measurements: the median, the 10th and 90th percentile, ratios of what was measured side by
-- side, and whether two results differ by more than their noise. Pure functions of lists of numbers.
local m = {}

--- The q-quantile (0..1) of a list, between two neighbours in proportion; nil for an empty list.
function m.quantile(list, q)
  if #list == 0 then return nil end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local at = 1 + q * (#sorted - 1)
  local low = math.floor(at)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
end

function m.median(list) return m.quantile(list, 0.5) end

--- { median, p10, p90, values } of a list, nil for an empty one.
function m.summary(list)
  if #list == 0 then return nil end
  return { median = m.median(list), p10 = m.quantile(list, 0.1), p90 = m.quantile(list, 0.9), values = list }
end

--- a[i] / b[i] for every round in which both were measured. A list that ends early is the shorter one.
function m.ratios(a, b)
  local list = {}
  for i = 1, math.min(#a, #b) do list[i] = a[i] / b[i] end
  return list
end

local function outside(x, range) return x < range.p10 or x > range.p90 end

--- Whether two summaries differ by more than their noise: each median lies outside the other's 10th to 90th percentile.
--- Of fewer than three values the noise is not known.
function m.differ(a, b)
  local known = #a.values >= 3 and #b.values >= 3
  return known and outside(a.median, b) and outside(b.median, a)
end

return m
