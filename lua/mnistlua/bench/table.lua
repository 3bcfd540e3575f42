-- The benchmark's table for people, at most 100 columns wide: the machine on top, a row per case, and below it what the
-- columns mean.
local figures = require "mnistlua.bench.figures"
local options = require "mnistlua.options"
local peers = require "mnistlua.bench.peers"

local m = {}

local titles = {
  train = "training", cnn = "training of convolutional networks", inference = "inference",
  conv = "convolution, forward",
  evaluation = "evaluation, loss and accuracy", loading = "loading", notebook = "notebook.lua, 9,000 images at once",
}

local layout = "%-24s %-15s %4s %10s %10s %6s %7s %8s %8s"

local function put(lines, fmt, ...)
  lines[#lines + 1] = (fmt:format(...):gsub("%s+$", ""))
end

-- "f32 peak 91 GFLOP/s on 1 thread, 180 GFLOP/s on 2".
local function peak_text(result, kind, title)
  local parts = {}
  for _, threads in ipairs(options.sorted_keys(result.peaks[kind] or {})) do
    local s = result.peaks[kind][threads]
    parts[#parts + 1] = ("%s on %s (p10 %s)"):format(figures.flops(s.median), threads, figures.flops(s.p10))
  end
  return #parts > 0 and title .. " peak: " .. table.concat(parts, ", ") or nil
end

local function put_machine(lines, result)
  local machine = result.machine
  figures.wrap(lines, ("mnistlua %s on %s, %d processors, %s%s"):format(machine.version, machine.cpu,
    machine.processors, machine.isa, machine.load and (", load %.1f at the start"):format(machine.load) or ""))
  local f32, amx = peak_text(result, "f32", "f32"), peak_text(result, "amx", "AMX bf16")
  if f32 then figures.wrap(lines, f32 .. (amx and "; " .. amx or "")) end
  local names = {}
  for i, library in ipairs(result.peers) do names[i] = library.title .. " " .. library.version end
  put(lines, "%d round%s of %g s each%s", result.rounds, result.rounds == 1 and "" or "s", result.seconds,
    #names > 0 and ", in turn with " .. table.concat(names, ", ") or "")
end

local function put_row(lines, row)
  local ratios = {}
  for i, name in ipairs(peers.names) do ratios[i] = figures.ratio((row.peers[name] or {}).ratio) end
  put(lines, layout, "  " .. row.label, figures.precision(row), row.threads, figures.rate(row.show, row.rate.median),
    figures.rate(row.show, row.rate.p10), figures.share((row.share or {}).median), table.unpack(ratios))
end

local function put_notes(lines, result)
  local function note(text) figures.wrap(lines, text) end
  note("thr.: threads. median, p10: median and 10th percentile of the rounds; k/s is thousand images a second; nine "
    .. "rounds in ten were at least as fast as p10. peak: share of the peak (f32 or AMX) measured right before it in "
    .. "the same round: images/s x FLOP per image / peak, FLOP being 2 a weight forward and 6 in training, less 2 a "
    .. "weight of the first layer, whose input needs no gradient.")
  if #result.peers > 0 then
    note("NumPy, PyTorch, sk-learn: how many times faster mnistlua is than the library at its best setting of 1 and "
      .. "all threads (and, with AVX-512, OPENBLAS_CORETYPE=SKYLAKEX or not); median of the rounds. The libraries "
      .. "compute in f32.")
  end
  note("The network is 784-512-128-64-10 with SGD, on digits the program draws; training goes through the trainer. A "
    .. "step's own cost: of one image through layers of width 1, where arithmetic costs next to nothing. One image "
    .. "goes through ml.predictor, from bytes to probabilities; black pixels are left out, and so they are in the "
    .. "notebook's step, whose pixels are in 0..1 (elsewhere black is not 0): its share of the peak counts work that "
    .. "is not done. lenet5 and cnn are the networks of configs/lenet5.lua and configs/cnn.lua, with SGD and without "
    .. "augmentation.")
  for _, text in ipairs(result.notes) do note("Note: " .. text .. ".") end
end

--- The lines of a result's table.
function m.lines(result)
  local lines, group = {}, nil
  put_machine(lines, result)
  put(lines, "")
  put(lines, layout, "", "", "thr.", "median", "p10", "peak", "NumPy", "PyTorch", "sk-learn")
  for _, row in ipairs(result.rows) do
    if row.group ~= group then put(lines, "%s", titles[row.group]) end
    group = row.group
    put_row(lines, row)
  end
  put(lines, "")
  put_notes(lines, result)
  return lines
end

return m
