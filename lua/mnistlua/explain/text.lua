-- What `mnistlua explain` found as lines of text: the picture, each layer forward and backward, the classes, the
-- neighbours. It prints nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local flow = require "mnistlua.nn.flow"
local formulas = require "mnistlua.explain.formulas"
local picture = require "mnistlua.picture"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local number = formulas.number

--- The name of a label: "3", "3 Dress".
function m.label(label, names)
  local name = names and names[label + 1]
  return name and ("%d %s"):format(label, core.escape(name)) or ("%d"):format(label)
end

local function sample_shape(t) return flow.shape_text(table.move(t.shape, 2, t:dim(), 1, {})) end

-- ---- layers ----

local function range(t)
  local low, mean, high = t:min():item(), t:mean():item(), t:max():item()
  return ("%s to %s, mean %s"):format(number(low), number(high), number(mean))
end

local function size_of(gradient) return number((gradient * gradient):sum():sqrt():item()) end

-- The line that names a layer, as it stands in the model.
local function title(step)
  return ("%s  %s"):format(color.paint_stdout("bold", ("[%s] %s"):format(step.name, core.escape(
    step.module:signature()))), color.paint_stdout("dim", ("%s -> %s"):format(sample_shape(step.input),
    sample_shape(step.output))))
end

local function add_indented(lines, list)
  for _, text in ipairs(list) do lines[#lines + 1] = "    " .. text end
end

--- The forward pass, from the first layer to the last.
function m.forward(steps)
  local lines = {}
  for _, step in ipairs(steps) do
    lines[#lines + 1] = title(step)
    add_indented(lines, formulas.forward(step))
    lines[#lines + 1] = "    " .. range(step.output)
  end
  return lines
end

-- "|dx| = 0.3, |d weight| = 1.2": the lengths of a layer's gradients.
local function sizes(step)
  local parts = { step.input_grad and "|dx| = " .. size_of(step.input_grad) }
  for _, p in ipairs(step.parameters or {}) do
    if p.grad then parts[#parts + 1] = ("|d %s| = %s"):format(core.escape(p.name), size_of(p.grad)) end
  end
  return table.concat(parts, ", ")
end

--- The backward pass, from the last layer to the first.
function m.backward(steps)
  local lines = {}
  for i = #steps, 1, -1 do
    local step = steps[i]
    lines[#lines + 1] = title(step)
    if step.output_grad then
      add_indented(lines, formulas.backward(step))
      lines[#lines + 1] = "    " .. sizes(step)
    else
      lines[#lines + 1] = "    no gradient reaches it"
    end
  end
  return lines
end

-- ---- the classes ----

--- A table of the classes: the model's output, its softmax, and the loss's gradient at the output.
function m.classes(trace, probabilities, label, names)
  local z, dz, top = trace.output:totable()[1], trace.output_grad:totable()[1], 1
  local rows = {}
  for i, p in ipairs(probabilities) do
    if p > probabilities[top] then top = i end
    rows[i] = { m.label(i - 1, names), number(z[i]), ("%.4f"):format(p), number(dz[i]) }
  end
  rows[top].colors = { [1] = top == label + 1 and "green" or "red" }
  if top ~= label + 1 then rows[label + 1].colors = { [1] = "green" } end
  local columns = { { title = "class" } }
  for i, name in ipairs { "z", "p = softmax(z)", "dL/dz" } do columns[i + 1] = { title = name, right = true } end
  return text_table.lines(columns, rows, text_table.room())
end

-- ---- pictures ----

-- Whether samples of this shape can be drawn.
local function drawable(shape)
  return (#shape == 2 or #shape == 3 and shape[1] == 1) and shape[#shape] > 1 and shape[#shape - 1] > 1
end

local function as_picture(t, shape) return t:reshape(shape[#shape - 1], shape[#shape]) end

local function split(text)
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

--- The sample and, where there is one, its saliency (signed: what speaks for the class, and what against it); none for
--- samples that are no pictures.
function m.picture(image, saliency, shape)
  if not drawable(shape) then return {} end
  local lines = split(picture.text(as_picture(image, shape)))
  if not saliency then return lines end
  lines[#lines + 1] = "saliency: how strongly the output of the chosen class changes with each pixel"
    .. (color.on_stdout and "; the colours say in which direction" or "")
  local drawn = color.on_stdout and saliency or saliency:abs()
  for _, line in ipairs(split(picture.text(as_picture(drawn, shape), { signed = color.on_stdout }))) do
    lines[#lines + 1] = line
  end
  return lines
end

local function grid(images, titles, shape)
  local list = {}
  for i, image in ipairs(images) do list[i] = image:to "f32":reshape(1, shape[#shape - 1], shape[#shape]) end
  local all = #list == 1 and list[1] or core.concat(list, 1)
  local white = images[1].dtype == "u8" and 255 or 1
  return split(picture.text(all, { columns = #list, titles = titles, range = { 0, white } }))
end

--- Entries of neighbours.lua with their pictures side by side, or a line for each.
function m.entries(list, dataset, names)
  local shape, images, titles, lines = dataset:sample_shape(), {}, {}, {}
  for i, e in ipairs(list) do
    local taken = e.predicted and (" for %s"):format(m.label(e.predicted, names)) or ""
    titles[i] = ("%d: %s%s"):format(e.index, m.label(e.label, names), taken)
    lines[i] = ("%s  %s"):format(titles[i], color.paint_stdout("dim", number(e.distance)))
    images[i] = dataset[e.index].image
  end
  if not drawable(shape) or #list == 0 or #list > 8 then return lines end
  return grid(images, titles, shape)
end

return m
