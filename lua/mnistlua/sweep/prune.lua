-- When a trial is not worth its remaining epochs. Pure functions of what was reported so far; the runner asks after
-- every report of a running trial.
--
-- A history is a list of { epoch =, score = } in the order of the epochs; more score is better. A rule gets the trial's
-- own history, and those of the other trials as a list of { history =, done = true once it has trained to its end }.
local m = { rules = {} }

m.names = { "asha", "median" }

local fewest = 3         -- median: completed trials that it takes
local reduction = 3      -- ASHA: of so many trials at a rung one goes on; rungs are at epochs 1, 3, 9, ...

-- ---- median ----

local function best_score(history)
  local best
  for _, entry in ipairs(history) do best = math.max(best or entry.score, entry.score) end
  return best
end

local function mean_until(history, epoch)
  local sum, count = 0, 0
  for _, entry in ipairs(history) do
    if entry.epoch <= epoch then sum, count = sum + entry.score, count + 1 end
  end
  return count > 0 and sum / count or nil
end

--- The middle of some numbers, the mean of the two in the middle where there are two.
function m.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local n = #sorted
  return (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
end

--- The median stopping rule (Golovin et al.: Google Vizier, a service for black-box optimization, KDD 2017, 3.2.2):
--- stop at epoch s if the best score until then is below the median of the completed trials' mean scores until s. It
--- takes three completed trials.
function m.rules.median(own, others)
  local last, means = own[#own], {}
  if not last then return false end
  for _, other in ipairs(others) do
    local mean = other.done and mean_until(other.history, last.epoch)
    if mean then means[#means + 1] = mean end
  end
  return #means >= fewest and best_score(own) < m.median(means)
end

-- ---- ASHA ----

-- The greatest rung at or below an epoch.
local function rung_below(epoch)
  local rung = 1
  while rung * reduction <= epoch do rung = rung * reduction end
  return rung
end

-- What a trial has reached a rung with: its first report there or later.
local function at_rung(history, rung)
  for _, entry in ipairs(history) do
    if entry.epoch >= rung then return entry end
  end
end

--- Successive halving without waiting (Li et al.: A system for massively parallel hyperparameter tuning, MLSys 2020),
--- as a rule for stopping: at a rung a trial goes on if it is among the best third of those that have reached it so
--- far (or the best, of fewer than six).
function m.rules.asha(own, others)
  local last = own[#own]
  if not last then return false end
  local rung = rung_below(last.epoch)
  if at_rung(own, rung) ~= last then return false end       -- decided at an earlier report
  local reached, better = 1, 0
  for _, other in ipairs(others) do
    local entry = at_rung(other.history, rung)
    if entry then
      reached = reached + 1
      if entry.score > last.score then better = better + 1 end
    end
  end
  return better >= math.max(1, reached // reduction)
end

return m
