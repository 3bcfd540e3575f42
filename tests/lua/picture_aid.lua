-- Reads what pictures are drawn with: text with colour codes back into cells and pixels. Independent of
-- mnistlua.picture.
local m = {}

local cube = { [0] = 0, 95, 135, 175, 215, 255 }

local function color_256(n)
  if n >= 232 then return { 8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232) } end
  assert(n >= 16, "one of the user's own colours")
  n = n - 16
  return { cube[n // 36], cube[n // 6 % 6], cube[n % 6] }
end

-- The numbers of one "ESC [ ... m" put into effect.
local function apply(state, text)
  local codes = {}
  for number in text:gmatch "%d+" do codes[#codes + 1] = tonumber(number) end
  if #codes == 0 then codes[1] = 0 end
  local i = 1
  while i <= #codes do
    local code, color = codes[i], nil
    if code == 38 or code == 48 then
      if codes[i + 1] == 5 then
        color, i = color_256(codes[i + 2]), i + 2
      else
        assert(codes[i + 1] == 2, text)
        color, i = { codes[i + 2], codes[i + 3], codes[i + 4] }, i + 4
      end
    end
    if code == 0 then state.fg, state.bg = nil, nil
    elseif code == 38 then state.fg = color
    elseif code == 48 then state.bg = color
    elseif code == 49 then state.bg = nil
    else error("code " .. code) end
    i = i + 1
  end
end

--- Lines of cells { text =, fg =, bg = }; colours are { red, green, blue } or nil.
function m.cells(text)
  local lines, state = {}, {}
  for line in text:gmatch "([^\n]*)\n" do
    local cells, at = {}, 1
    while at <= #line do
      local codes, after = line:match("^\27%[([%d;]*)m()", at)
      if codes then
        apply(state, codes)
        at = after
      else
        local character = line:match("^[%z\1-\127\194-\244][\128-\191]*", at)
        assert(character ~= "\27", "an escape code of another kind")
        cells[#cells + 1] = { text = character, fg = state.fg, bg = state.bg }
        at = at + #character
      end
    end
    assert(not state.fg and not state.bg, "colours go on at the end of a line")
    lines[#lines + 1] = cells
  end
  assert(text:sub(-1) == "\n")
  return lines
end

--- Half blocks as rows of pixels, { red, green, blue } each; false for the terminal's background.
function m.half_pixels(text)
  local rows = {}
  for _, cells in ipairs(m.cells(text)) do
    local upper, lower = {}, {}
    for x, cell in ipairs(cells) do
      if cell.text == "▀" then
        upper[x], lower[x] = cell.fg, cell.bg or false
      else
        assert(cell.text == " ", cell.text)
        upper[x], lower[x] = cell.bg or false, cell.bg or false
      end
    end
    rows[#rows + 1], rows[#rows + 2] = upper, lower
  end
  return rows
end

--- Braille as rows of dots, true or false.
function m.braille_dots(text, width)
  local rows = {}
  local places = { { 0, 0 }, { 0, 1 }, { 0, 2 }, { 1, 0 }, { 1, 1 }, { 1, 2 }, { 0, 3 }, { 1, 3 } }
  for number, cells in ipairs(m.cells(text)) do
    for i = 1, 4 do rows[number * 4 - 4 + i] = {} end
    for x = 1, width do
      local bits = cells[x] and cells[x].text ~= " " and utf8.codepoint(cells[x].text) - 0x2800 or 0
      for bit, place in ipairs(places) do
        rows[number * 4 - 3 + place[2]][x * 2 - 1 + place[1]] = bits & 1 << (bit - 1) ~= 0
      end
    end
  end
  return rows
end

return m
