-- What `mnistlua show RUN --filters` and `--confusion` print: the first layer's weights as pictures, the confusion
-- matrix as a coloured table.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local eval = require "mnistlua.cli.eval"
local failure = require "mnistlua.failure"
local flow = require "mnistlua.nn.flow"
local measure_text = require "mnistlua.inspect.measure_text"
local options = require "mnistlua.options"
local picture_show = require "mnistlua.picture.show"
local progress = require "mnistlua.train.progress"
local sources = require "mnistlua.cli.source"
local terminal = require "mnistlua.picture.terminal"

local m = {}

local function heading(fmt, ...) print(color.paint_stdout("bold", core.escape(fmt:format(...)))) end

-- ---- filters ----

-- The first parameter with two dimensions or more: its name and the tensor.
local function first_weight(s)
  for _, entry in ipairs(s.tensors) do
    if entry[2]:dim() >= 2 then return entry[1], entry[2] end
  end
  error(failure.new("runtime", core.escape(s.path) .. ": no weights with two dimensions or more"), 0)
end

-- The brightest colours go to the most extreme 1% of the weights of the first `rows` filters.
local function range_of(weight, rows)
  local values = weight:rows(1, math.min(rows, #weight)):reshape(-1):abs():totable()
  table.sort(values)
  local largest = values[math.max(1, #values * 99 // 100)]
  return largest > 0 and { -largest, largest } or nil
end

local function filters(s, args)
  local name, weight = first_weight(s)
  local grid, shape = args.grid or {}, weight.shape
  local n = grid[1] and grid[1] * grid[2] or 32
  local text = picture_show.text(weight, {
    n = n, columns = grid[2], signed = true, mode = args.mode, width = args.width, range = range_of(weight, n),
  })
  if not text then
    options.usage(("--filters: %s, %s, is no picture"):format(core.escape(name), flow.shape_text(shape)))
  end
  heading("%s, %s: %.3g to %.3g", name, flow.shape_text(shape), weight:min():item(), weight:max():item())
  io.write(text)
end

-- ---- confusion ----

local function confusion(args)
  local result, names = eval.evaluate { model = args.what, out = args.out, threads = args.threads }
  if not result.confusion then
    error(failure.new("runtime", core.escape(result.name) .. " does not classify: it has no confusion matrix"), 0)
  end
  heading("%s on %s%s: %s samples, accuracy %s", result.name, result.data, result.part and " " .. result.part or "",
    progress.thousands(result.count), progress.percent(result.acc))
  local room = args.width or terminal.width()
  local lines = measure_text.matrix(result.confusion, names, room)
  if not lines then
    options.usage(("--confusion: a matrix of %d classes is wider than %d columns; see --width"):format(
      #result.confusion, room))
  end
  print "a row for each class, a column for what it was taken for"
  for _, line in ipairs(lines) do print(line) end
  for _, line in ipairs(measure_text.mistakes(result.confusion, names, 5)) do print(line) end
end

--- Shows what the arguments ask for: filters, confusion, or both.
function m.show(args)
  if args.filters then filters(sources.open(args.out, args.what), args) end
  if args.filters and args.confusion then print "" end
  if args.confusion then confusion(args) end
end

return m
