-- model:summary(): a table of a model's layers, what each puts out, and how many values it trains.
local flow = require "mnistlua.nn.flow"

-- 575050 -> "575,050"
local function thousands(n)
  local text = ("%d"):format(n):reverse():gsub("%d%d%d", "%0,"):reverse():gsub("^,", "")
  return text
end

-- The values in the module's own parameters that `seen` has not counted yet.
local function own_count(module, seen)
  local total = 0
  for _, name in ipairs(module._order) do
    local value = module._values[name]
    if module._roles[name] == "parameter" and not seen[value] then
      seen[value] = true
      total = total + value:numel()
    end
  end
  return total
end

local function row_of(name, module, shape, count)
  return {
    name ~= "" and name or "model", module:signature(), shape and flow.shape_text(shape) or "?",
    module.built and thousands(count) or "?",
  }
end

local function collect_rows(model, shapes)
  local rows, total, seen = { { "layer", "type", "output", "parameters" } }, 0, {}
  for name, module in model:named_modules() do
    local count = own_count(module, seen)
    total = total + count
    if not module.container or count > 0 then rows[#rows + 1] = row_of(name, module, shapes[module], count) end
  end
  return rows, total
end

local function column_widths(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  return widths
end

local function format_rows(rows)
  local w, lines = column_widths(rows), {}
  local pattern = ("%%-%ds  %%-%ds  %%%ds  %%%ds"):format(w[1], w[2], w[3], w[4])
  for i, row in ipairs(rows) do lines[i] = pattern:format(table.unpack(row)) end
  table.insert(lines, 2, ("-"):rep(w[1] + w[2] + w[3] + w[4] + 6))
  return lines
end

return function(Module)
  --- The rows of that table, each a list of texts (name, type and settings, output, parameters), the titles first; and
  --- the number of parameters. Sizes that are not known yet are "?".
  function Module:summary_rows()
    local shapes, _ = {}, nil
    if self.sample_shape then _, shapes = flow.record(self.output_shape, self, self.sample_shape) end
    return collect_rows(self, shapes)
  end

  --- The model as a text table: each layer's name in the state dict, its type and settings, the shape of its output for
  --- one sample, and its parameters. Given the shape of one sample (model:summary { 28, 28 }) it builds layers whose
  --- sizes are inferred; a built model remembers the shape. print(model:summary()) shows it.
  function Module:summary(...)
    if select("#", ...) > 0 then self:build(...) end
    local rows, total = self:summary_rows()
    local lines = format_rows(rows)
    if self:unbuilt() then
      lines[#lines + 1] = "sizes shown as ? are inferred on first use, or by model:build { sizes of one sample }"
    else
      lines[#lines + 1] = ("total: %s parameters (%.1f MiB)"):format(thousands(total), total * 4 / 2 ^ 20)
    end
    return table.concat(lines, "\n")
  end
end
