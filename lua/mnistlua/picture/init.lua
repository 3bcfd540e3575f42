-- Pictures in the terminal: tensors as text, one picture or a grid with titles. Called by ml.show, the commands that
-- show samples, filters and predictions, and the prompt. It returns text and prints nothing; escape codes are in it
-- only where colours are on.
--
--   picture.text(t, { titles = { "7" } })
local cells = require "mnistlua.picture.cells"
local core = require "mnistlua.core"
local kitty = require "mnistlua.picture.kitty"
local options = require "mnistlua.options"
local pixels = require "mnistlua.picture.pixels"
local sixel = require "mnistlua.picture.sixel"
local strip = require "mnistlua.picture.strip"
local terminal = require "mnistlua.picture.terminal"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local modes = { "auto", "best", "half", "braille", "ascii", "sixel", "kitty" }

local spec = {
  columns = { type = "integer", min = 1 }, width = { type = "integer", min = 1 }, range = { type = "table" },
  mode = { default = "auto", choices = modes }, color = { default = "auto", choices = { "auto", true, false } },
  titles = { type = "table" }, signed = { default = false, type = "boolean" },
  scale = { default = 1, type = "number", above = 0 },
}

-- ---- values ----

local function check_range(range)
  local low, high = range[1], range[2]
  local right = type(low) == "number" and type(high) == "number" and low < high
  if not right then options.fail "picture.text: range: expected { low, high } with low below high" end
  return low, high
end

-- Pictures of 0..1, or -1..1 where the sign is shown. u8 is 0..255; floats range from their least to their greatest.
local function values(t, o)
  local pictures = pixels.read(t, "picture.text")
  local low, high
  if o.range then
    low, high = check_range(o.range)
  elseif t.dtype == "u8" and not o.signed then
    low, high = 0, 255
  else
    low, high = pixels.range(pictures)
  end
  if o.signed then
    pixels.scale_signed(pictures, math.max(math.abs(low), math.abs(high)))
  else
    pixels.scale(pictures, low, high)
  end
  return pictures
end

-- ---- sizes, in characters ----

local gap = 1          -- between pictures of a grid
local smallest = 9     -- columns to which the pictures of a grid are made smaller at most

-- How many pictures stand beside each other, and how wide each is: its own size where there is room, as many as fit;
-- smaller where more are asked for.
local function grid(count, natural, o)
  local room = o.width or terminal.width()
  local asked = math.min(o.columns or count, count)
  local fitting = math.max(1, (room + gap) // (math.min(natural, room) + gap))
  if not o.columns or asked <= fitting then return math.min(asked, fitting), math.min(natural, room) end
  local width = math.max((room + gap) // asked - gap, math.min(smallest, natural, room))
  return math.max(1, math.min(asked, (room + gap) // (width + gap))), width
end

-- Dots across and down to a character.
local dots = { half = { 1, 2 }, braille = { 2, 4 }, ascii = { 1, 1 } }

-- A picture as lines that are `width` characters wide. A character is twice as high as it is wide.
local function drawn(picture, width, mode, look)
  local across, down = dots[mode][1], dots[mode][2]
  local height = picture.h * width / picture.w / 2 * down
  height = math.max(1, math.floor(height + 0.5))
  return cells[mode](pixels.resized(picture, width * across, height, look.signed), look)
end

-- ---- a grid as text ----

local function title_line(titles, first, last, width)
  local parts = {}
  for i = first, last do
    local title = titles[i] == nil and "" or core.escape(tostring(titles[i]))
    parts[#parts + 1] = text_table.pad(text_table.cut(title, width), width)
  end
  return (table.concat(parts, (" "):rep(gap)):gsub(" +$", ""))
end

-- Pictures of one size beside each other, as lines of text.
local function beside(pictures, width, mode, look)
  local list, lines = {}, {}
  for i, picture in ipairs(pictures) do list[i] = drawn(picture, width, mode, look) end
  for row = 1, #list[1] do
    local parts = {}
    for i, picture in ipairs(list) do parts[i] = picture[row] end
    lines[row] = table.concat(parts, (" "):rep(gap)):gsub(" +$", "")
  end
  return lines
end

-- The same as graphics: a line that holds one escape sequence. Only kitty's says how many characters it takes.
local function painted(pictures, width, mode, look)
  local cell_width, cell_height = terminal.cell(mode == "sixel")
  local few = mode == "sixel"
  local row = strip.new(pictures, width, gap, cell_width, cell_height, look.signed, few)
  return { (few and sixel or kitty).encode(row) }
end

local function grid_lines(pictures, columns, width, mode, look, titles)
  local lines, draw = {}, dots[mode] and beside or painted
  for first = 1, #pictures, columns do
    local last = math.min(first + columns - 1, #pictures)
    if titles then
      lines[#lines + 1] = title_line(titles, first, last, width)
    elseif first > 1 then
      lines[#lines + 1] = ""
    end
    local row = draw(table.move(pictures, first, last, 1, {}), width, mode, look)
    table.move(row, 1, #row, #lines + 1, lines)
  end
  return lines
end

-- How it is drawn where that is left to us, or where what was asked for cannot be.
local function chosen_mode(mode, wanted, bits)
  if mode == "best" then mode = wanted == "auto" and terminal.graphics() or "auto" end
  local drawable = dots[mode] and (mode ~= "half" or bits) or not dots[mode] and terminal.may_draw(wanted)
  if mode == "auto" or not drawable then return terminal.best_mode(bits) end
  return mode
end

--- Pictures as text, lines that end with "\n". t: a tensor [h, w], [n, h, w], [n, 1, h, w], or in colours [n, 3, h, w].
--- options: columns (pictures beside each other; default: as many as fit; more than fit make them smaller), width
--- (columns of text to use; the terminal's), scale (1: a character for each column of pixels), range ({ low, high },
--- black and white; u8: { 0, 255 }, floats: their least and greatest), signed (colours tell the sign, zero is black),
--- titles (a list of texts, above the pictures), color ("auto", true, false), mode: "half", "braille" or "ascii"
--- characters, "auto" for the best of them; "sixel" or "kitty" graphics, each row of the grid one line with one escape
--- sequence, "best" for those where the terminal has them. Where there may be no escape codes it is characters without.
function m.text(t, given)
  local o = options.read("picture.text", given or {}, spec)
  local pictures = values(t, o)
  local bits = terminal.color_bits(o.color)
  local mode = chosen_mode(o.mode, o.color, bits)
  local natural = math.max(1, math.floor(pictures[1].w * o.scale + 0.5))
  local columns, width = grid(#pictures, natural, o)
  local look = { signed = o.signed, bits = bits }
  return table.concat(grid_lines(pictures, columns, width, mode, look, o.titles), "\n") .. "\n"
end

return m
