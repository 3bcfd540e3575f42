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

-- ---- sixel ----

local function percent(text) return math.floor(tonumber(text) * 255 / 100 + 0.5) end

-- Sets the pixels of one sixel character at x, `times` to the right, in rows y + 1 to y + 6.
local function put_sixel(image, x, y, character, times, color)
  local bits = character:byte() - 63
  for bit = 0, 5 do
    if bits & 1 << bit ~= 0 then
      local row = image.rows[y + bit + 1]
      assert(row, "a pixel below the picture")
      for i = x + 1, x + times do
        assert(i <= image.width and not row[i], "a pixel beside the picture, or painted twice")
        row[i] = color
      end
    end
  end
end

--- Draws one sixel sequence: { width =, height =, rows = lists of { red, green, blue } or false, colors = how many }.
function m.sixel(text)
  local width, height, at = text:match '^\27P0;1;0?q"1;1;(%d+);(%d+)()'
  assert(at, "no sixel sequence: " .. text:sub(1, 20))
  local image = { width = tonumber(width), height = tonumber(height), rows = {}, colors = 0 }
  for y = 1, image.height do
    image.rows[y] = {}
    for x = 1, image.width do image.rows[y][x] = false end
  end
  local registers, color, x, y = {}, nil, 0, 0
  while text:sub(at, at + 1) ~= "\27\\" do
    local n, r, g, b, after = text:match("^#(%d+);2;(%d+);(%d+);(%d+)()", at)
    if n then
      assert(tonumber(n) < 256 and tonumber(r) <= 100 and tonumber(g) <= 100 and tonumber(b) <= 100)
      registers[n], image.colors = { percent(r), percent(g), percent(b) }, image.colors + 1
    else
      n, after = text:match("^#(%d+)()", at)
      local times, character, next_at = text:match("^!?(%d*)([?-~])()", at)
      if n then color = assert(registers[n], "a colour that is not defined")
      elseif text:sub(at, at) == "$" then x, after = 0, at + 1
      elseif text:sub(at, at) == "-" then x, y, after = 0, y + 6, at + 1
      else
        assert(character, "byte " .. text:byte(at))
        put_sixel(image, x, y, character, tonumber(times) or 1, color)
        x, after = x + (tonumber(times) or 1), next_at
      end
    end
    at = after
  end
  assert(at + 1 == #text, "text after the sequence")
  return image
end

-- ---- kitty ----

local function base64(text)
  assert(#text % 4 == 0 and not text:find "=.*[^=]")
  local bytes, value, bits = {}, 0, 0
  for c in text:gmatch "[^=]" do
    local n
    if c:find "%u" then n = c:byte() - 65 elseif c:find "%l" then n = c:byte() - 71
    elseif c:find "%d" then n = c:byte() + 4 else n = assert(({ ["+"] = 62, ["/"] = 63 })[c]) end
    value, bits = value << 6 | n, bits + 6
    if bits >= 8 then
      bits = bits - 8
      bytes[#bytes + 1] = string.char(value >> bits & 255)
      value = value & (1 << bits) - 1
    end
  end
  return table.concat(bytes)
end

--- Draws one picture of kitty's: { width =, height =, columns =, lines =, rows = lists of { r, g, b } or false }.
function m.kitty(text)
  local keys, data, at, more = {}, {}, 1, "1"
  while at <= #text do
    assert(more == "1", "a piece after the last one")
    local head, payload, after = text:match("^\27_G([^;]*);([%w+/=]*)\27\\()", at)
    assert(head and #payload <= 4096, "no piece: " .. text:sub(at, at + 20))
    for key, value in head:gmatch "(%a)=(%w+)" do keys[key] = value end
    more, at, data[#data + 1] = keys.m, after, payload
  end
  assert(more == "0" and keys.a == "T" and keys.f == "32" and keys.q == "2")
  local image = { width = tonumber(keys.s), height = tonumber(keys.v), columns = tonumber(keys.c),
    lines = tonumber(keys.r), rows = {} }
  local bytes = base64(table.concat(data))
  assert(#bytes == image.width * image.height * 4, "bytes")
  for y = 1, image.height do
    image.rows[y] = {}
    for x = 1, image.width do
      local r, g, b, opaque = bytes:byte(((y - 1) * image.width + x) * 4 - 3, ((y - 1) * image.width + x) * 4)
      image.rows[y][x] = opaque == 255 and { r, g, b } or opaque ~= 0 or false
    end
  end
  return image
end

return m
