-- The sections of a report as HTML: what stands there without a script. Called by init.lua, which gathers what they
-- say. Curves, pictures and the draw pad are drawn by ../web/report.js into the elements that are left empty here.
local measure = require "mnistlua.inspect.measure"
local progress = require "mnistlua.train.progress"
local web = require "mnistlua.web"

local m = {}

local tag, escape = web.tag, web.escape

-- ---- pieces ----

local function section(id, title, ...)
  return tag("section", { id = id, ["aria-labelledby"] = id .. "-title" },
    tag("h2", { id = id .. "-title" }, escape(title)), ...)
end

local function lead(text) return tag("p", { class = "lead" }, text) end

local function percent(share) return share and progress.percent(share) or "–" end

local function short_percent(share) return ("%.1f%%"):format(100 * share) end

-- cells: HTML; numbers: which columns are (a set).
local function row(kind, cells, numbers)
  local parts = {}
  for i, cell in ipairs(cells) do
    parts[i] = tag(kind, { class = numbers and numbers[i] and "number" or false }, cell)
  end
  return tag("tr", nil, table.concat(parts))
end

local function table_of(titles, rows, numbers, class)
  local body = {}
  for i, cells in ipairs(rows) do body[i] = row("td", cells, numbers) end
  return tag("div", { class = "scroll" }, tag("table", { class = class },
    tag("thead", nil, row("th", titles, numbers)), tag("tbody", nil, table.concat(body))))
end

local function class_name(names, label) return escape(names and names[label + 1] or ("%d"):format(label)) end

-- ---- head ----

local part_titles = { test = "Test accuracy", val = "Validation accuracy", train = "Training accuracy" }

local function figure(value, title, detail)
  return tag("div", { class = "figure" }, tag("dt", nil, title), tag("dd", nil, tag("strong", nil, value),
    detail and tag("span", { class = "muted" }, detail) or ""))
end

-- The numbers at the top: how good, how large, how long.
local function figures(r)
  local list, results = {}, r.results
  local part = results["test.acc"] and "test" or results["val.acc"] and "val" or results["train.acc"] and "train"
  if part then
    local errors = part == "test" and results["test.errors"]
    list[#list + 1] = figure(percent(results[part .. ".acc"]), part_titles[part],
      errors and ("%s errors of %s"):format(progress.thousands(errors), progress.thousands(results["test.count"])))
  end
  local loss = results["test.loss"] or results["val.loss"] or results["train.loss"]
  if loss then list[#list + 1] = figure(progress.loss(loss), "Loss") end
  if r.parameters then list[#list + 1] = figure(progress.thousands(r.parameters), "Parameters") end
  if r.seconds then
    list[#list + 1] = figure(escape(progress.duration(r.seconds)), "Time",
      r.images_per_s and progress.thousands(r.images_per_s) .. " images/s")
  end
  return tag("dl", { class = "figures" }, table.concat(list))
end

--- Name, date, status and the numbers that matter most.
function m.head(r)
  local parts = { escape(r.folder) }
  if r.started then parts[#parts + 1] = os.date("%Y-%m-%d %H:%M", r.started) end
  if r.data then parts[#parts + 1] = escape(r.data) end
  if r.status ~= "done" then parts[#parts + 1] = tag("strong", nil, escape(r.status)) end
  local notes = {}
  for i, note in ipairs(r.notes) do notes[i] = tag("p", { class = "note" }, escape(note)) end
  return tag("header", nil, tag("h1", nil, escape(r.name)),
    tag("p", { class = "muted" }, table.concat(parts, " · ")), figures(r), table.concat(notes))
end

-- ---- what scripts fill ----

--- The draw pad, or why there is none.
function m.pad(r)
  if r.pad_problem then
    return section("draw", "Draw a digit", lead(escape("There is no draw pad: " .. r.pad_problem .. ".")))
  elseif not r.network then
    return ""
  end
  return section("draw", "Draw a digit", lead "With mouse, finger or pen. The network computes in the page.",
    tag("div", { id = "pad", class = "screen" }, tag("noscript", nil, "The draw pad needs JavaScript.")))
end

function m.curves(r)
  if #r.charts == 0 then return "" end
  return section("curves", "Training", tag("div", { id = "charts", class = "charts" },
    tag("noscript", nil, "The curves need JavaScript.")))
end

function m.filters(r)
  if not r.network then return "" end
  return section("filters", "First layer",
    tag("p", { class = "lead", id = "filters-lead" }), tag("div", { id = "filter-grid", class = "filters" }),
    tag("button", { class = "button", type = "button", id = "filters-more", hidden = true }))
end

-- ---- mistakes ----

--- The worst mistakes; their pictures are painted by the script.
function m.mistakes(r)
  local seen = r.measured
  if not seen then return "" end
  if seen.errors == 0 then
    return section("mistakes", "Mistakes", lead(("None in %s images."):format(progress.thousands(seen.count))))
  end
  local shown = #seen.mistakes < seen.errors
    and ("The worst %d of %s"):format(#seen.mistakes, progress.thousands(seen.errors))
    or ("All %d"):format(seen.errors)
  local text = ("%s mistakes in %s %s images: what the network saw in them, and below it the truth."):format(shown,
    progress.thousands(seen.count), seen.part)
  local items = {}
  for i, mistake in ipairs(seen.mistakes) do
    items[i] = tag("li", nil, tag("button", { class = "mistake", type = "button", ["data-mistake"] = i - 1 },
      seen.picture and tag("canvas", { ["aria-hidden"] = "true" }) or "",
      tag("span", { class = "mistake-guess" }, tag("b", nil, class_name(r.class_names, mistake.guess)),
        tag("span", nil, short_percent(mistake.shares[mistake.guess + 1]))),
      tag("span", { class = "mistake-truth" }, tag("span", nil, class_name(r.class_names, mistake.truth)),
        tag("span", nil, short_percent(mistake.share)))))
  end
  return section("mistakes", "Mistakes", lead(text), tag("ul", { class = "mistakes" }, table.concat(items)))
end

-- ---- classes ----

-- How strongly a cell of the confusion matrix is tinted: mistakes by the root of their share of the class.
local function tint(times, of)
  if times == 0 or of == 0 then return false end
  return ("--share:%.3f"):format(math.min(1, math.sqrt(times / of * 40)))
end

local function matrix(r, confusion)
  local head, body = { tag("td", nil) }, {}
  for j = 1, #confusion do
    head[j + 1] = tag("th", { class = "number", scope = "col" }, class_name(r.class_names, j - 1))
  end
  for i, counts in ipairs(confusion) do
    local cells, of = { tag("th", { scope = "row" }, class_name(r.class_names, i - 1)) }, 0
    for _, times in ipairs(counts) do of = of + times end
    for j, times in ipairs(counts) do
      local class = i == j and "number right" or "number"
      cells[j + 1] = tag("td", { class = class, style = i ~= j and tint(times, of) or false },
        times > 0 and progress.thousands(times) or tag("span", { class = "zero" }, "·"))
    end
    body[i] = tag("tr", nil, table.concat(cells))
  end
  return tag("div", { class = "scroll" }, tag("table", { class = "matrix" },
    tag("thead", nil, tag("tr", nil, table.concat(head))), tag("tbody", nil, table.concat(body))))
end

local function frequent(r, confusion)
  local list = {}
  for i, mistake in ipairs(measure.mistakes(confusion, 5)) do
    list[i] = ("%s taken for %s: %s"):format(class_name(r.class_names, mistake[1]),
      class_name(r.class_names, mistake[2]), progress.thousands(mistake[3]))
  end
  return #list > 0 and lead("Most frequent: " .. table.concat(list, "; ") .. ".") or ""
end

local widest_matrix = 40    -- classes

local function confusion(r)
  local seen = r.measured
  if #seen.confusion > widest_matrix then return "" end
  return section("confusion", "Confusion", lead "A row for each class, a column for what it was taken for.",
    matrix(r, seen.confusion), frequent(r, seen.confusion))
end

local function table_of_classes(r)
  local rows = {}
  for i, class in ipairs(r.measured.classes) do
    rows[i] = {
      class_name(r.class_names, class.label), progress.thousands(class.count), percent(class.precision),
      percent(class.recall), percent(class.f1),
    }
  end
  return section("classes", "Classes", table_of({ "class", "images", "precision", "recall", "F1" }, rows,
    { [2] = true, [3] = true, [4] = true, [5] = true }))
end

--- The confusion matrix, and beside it a table of the classes.
function m.classes(r)
  if not r.measured then return "" end
  return tag("div", { class = "pair" }, confusion(r), table_of_classes(r))
end

-- ---- the model and the run ----

local function escaped(cells)
  local list = {}
  for i, cell in ipairs(cells) do list[i] = escape(cell) end
  return list
end

function m.model(r)
  if not r.layers then return "" end
  local rows = {}
  for i = 2, #r.layers do rows[i - 1] = escaped(r.layers[i]) end
  rows[#rows + 1] = { "", tag("strong", nil, "total"), "", tag("strong", nil, progress.thousands(r.parameters)) }
  return section("model", "Model", table_of(escaped(r.layers[1]), rows, { [3] = true, [4] = true }))
end

function m.parameters(r)
  if #r.params == 0 then return "" end
  local rows = {}
  for i, param in ipairs(r.params) do
    local value = tag("code", nil, escape(param.value))
    rows[i] = {
      tag("code", nil, escape(param.name)), param.changed and tag("strong", nil, value) or value,
      param.changed and param.default and tag("code", nil, escape(param.default)) or "", escape(param.about or ""),
    }
  end
  return section("parameters", "Parameters", table_of({ "name", "value", "default", "" }, rows))
end

--- What it takes to repeat the run.
function m.facts(r)
  local rows = {}
  for i, fact in ipairs(r.facts) do
    rows[i] = tag("tr", nil, tag("th", { scope = "row" }, escape(fact[1])), tag("td", nil,
      fact.code and tag("code", nil, escape(fact[2])) or escape(fact[2])))
  end
  return section("run", "Run", tag("div", { class = "scroll" }, tag("table", { class = "facts" },
    tag("tbody", nil, table.concat(rows)))))
end

-- A line of the config: comments are quieter than the rest.
local function code_line(text)
  local code, comment = text:match "^(%s*)(%-%-.*)$"
  if not comment then code, comment = text:match "^(.-%s)(%-%-%s.*)$" end
  if comment and not code:find "[\"']" then
    return escape(code) .. tag("span", { class = "muted" }, escape(comment))
  end
  return escape(text)
end

function m.config(r)
  if not r.config_text then return "" end
  local lines = {}
  for line in (r.config_text:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = code_line(line) end
  return section("config", "Config", r.config and lead(tag("code", nil, escape(r.config))) or "",
    tag("pre", { tabindex = "0" }, tag("code", nil, table.concat(lines, "\n"))))
end

return m
