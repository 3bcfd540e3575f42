-- The line search of L-BFGS: a step that meets the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and
-- 3.6), with PyTorch's constants, interpolation and safeguards. It knows points of a line only:
-- { t = , loss = , grad = , slope = }, slope being the derivative along the line.
local armijo, curvature, most_rounds = 1e-4, 0.9, 25

-- The place of the least value of the cubic through two points with their slopes, within low .. high.
local function cubic(p, q, low, high)
  local d1 = p.slope + q.slope - 3 * (p.loss - q.loss) / (p.t - q.t)
  local square = d1 * d1 - p.slope * q.slope
  if square < 0 or square ~= square then return (low + high) / 2 end
  local d2 = square ^ 0.5
  if p.t > q.t then p, q = q, p end
  local t = q.t - (q.t - p.t) * ((q.slope + d2 - d1) / (q.slope - p.slope + 2 * d2))
  return math.min(math.max(t, low), high)
end

-- Steps out from `start` until two neighbours enclose a good step, or one is good: returns a, b (nil if a is good), and
-- the rounds this took.
local function bracket(at, start, t)
  local before, rounds = start, 0
  local now = at(t)
  while rounds < most_rounds do
    local too_high = now.loss > start.loss + armijo * now.t * start.slope
    if too_high or rounds > 1 and now.loss >= before.loss then return before, now, rounds end
    if math.abs(now.slope) <= -curvature * start.slope then return now, nil, rounds end
    if now.slope >= 0 then return before, now, rounds end
    t = cubic(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10)
    before, now, rounds = now, at(t), rounds + 1
  end
  return start, now, rounds
end

-- A step between a and b, kept off the ends if two in a row come close to one. Returns it, and whether it is close.
local function step_between(a, b, was_close)
  local low, high = math.min(a.t, b.t), math.max(a.t, b.t)
  local t, margin = cubic(a, b, low, high), 0.1 * (high - low)
  if math.min(high - t, t - low) >= margin then return t, false end
  if not (was_close or t >= high or t <= low) then return t, true end
  return math.abs(t - high) < math.abs(t - low) and high - margin or low + margin, false
end

-- Narrows a .. b down. `best` is the one of lower loss; returns it at the end.
local function zoom(at, start, a, b, rounds, d_max, tolerance)
  local best, other, close = a, b, false
  if b.loss < a.loss then best, other = b, a end
  while rounds < most_rounds and math.abs(best.t - other.t) * d_max >= tolerance do
    local t
    t, close = step_between(best, other, close)
    local now = at(t)
    rounds = rounds + 1
    if now.loss > start.loss + armijo * t * start.slope or now.loss >= best.loss then
      other = now
      if other.loss < best.loss then best, other = other, best end
    else
      if math.abs(now.slope) <= -curvature * start.slope then return now end
      if now.slope * (other.t - best.t) >= 0 then other = best end
      best = now
    end
  end
  return best
end

--- Searches along a line: at(t) evaluates the point at t, start is that at 0, t the first guess, d_max the greatest
--- change of a weight for t = 1. Returns the point found.
return function(at, start, t, d_max, tolerance)
  local a, b, rounds = bracket(at, start, t)
  if not b then return a end
  if rounds >= most_rounds then return b.loss < a.loss and b or a end
  return zoom(at, start, a, b, rounds, d_max, tolerance)
end
