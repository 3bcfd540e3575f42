-- Sixel and kitty graphics, drawn by decoders of the test's own, are the pictures.
local aid = require "picture_aid"
local core = require "mnistlua.core"
local lu = require "luaunit"
local picture = require "mnistlua.picture"
local strip = require "mnistlua.picture.strip"
local sixel = require "mnistlua.picture.sixel"
local kitty = require "mnistlua.picture.kitty"
local terminal = require "mnistlua.picture.terminal"

TestPictureGraphics = {}

local cell = terminal.cell

function TestPictureGraphics:setUp() terminal.cell = function() return 8, 16 end end
function TestPictureGraphics:tearDown() terminal.cell = cell end

local function text(t, mode, options)
  options = options or {}
  options.mode, options.color, options.width = mode, true, options.width or 80
  return picture.text(t, options)
end

local function lines_of(out)
  local lines = {}
  for line in out:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

local function random_picture(n, h, w)
  local t = core.zeros({ n, h, w }, "u8")
  t:copy_((core.rand(n, h, w) * 255):to "u8")
  return t
end

-- Every pixel of an image against picture i of t, `k` times as large, `left` pixels from the left; all else is clear.
local function check(image, t, k, lefts, tolerance)
  local h, w = t.shape[2], t.shape[3]
  for y = 1, image.height do
    for x = 1, image.width do
      local expected = false
      for i, left in ipairs(lefts) do
        if x > left and x <= left + w * k and y <= h * k then
          expected = t[i][(y - 1) // k + 1][(x - left - 1) // k + 1]
        end
      end
      local found = image.rows[y][x]
      if not expected then
        lu.assertFalse(found)
      else
        lu.assertTrue(found and math.abs(found[1] - expected) <= tolerance, x .. "," .. y)
      end
    end
  end
end

function TestPictureGraphics.testSixel()
  local t = random_picture(1, 9, 7)
  local image = aid.sixel(lines_of(text(t, "sixel"))[1])
  lu.assertEquals({ image.width, image.height }, { 56, 72 })
  check(image, t, 8, { 0 }, 4)
  lu.assertTrue(image.colors <= 64)
end

function TestPictureGraphics.testKitty()
  local t = random_picture(1, 9, 7)
  local image = aid.kitty(lines_of(text(t, "kitty"))[1])
  lu.assertEquals({ image.width, image.height, image.columns, image.lines }, { 56, 80, 7, 5 })
  check(image, t, 8, { 0 }, 0)
end

-- Two beside each other, a third below, with titles; a character between them is clear.
function TestPictureGraphics.testGrid()
  local t = random_picture(3, 5, 4)
  for mode, draw in pairs { sixel = aid.sixel, kitty = aid.kitty } do
    local lines = lines_of(text(t, mode, { columns = 2, titles = { "a", "b", "\27[2J" } }))
    lu.assertEquals({ #lines, lines[1], lines[3] }, { 4, "a    b", "\\..." })
    local image = draw(lines[2])
    lu.assertEquals(image.width, 9 * 8)
    check(image, t, 8, { 0, 40 }, 4)
    image = draw(lines[4])
    lu.assertEquals(image.width, 4 * 8)
    check(image, t:rows(3, 3), 8, { 0 }, 4)
  end
end

-- Half as large a picture has all its pixels still, in four to a character; a large one is reduced.
function TestPictureGraphics.testSizes()
  local t = random_picture(1, 28, 28)
  check(aid.sixel(lines_of(text(t, "sixel", { scale = 0.5 }))[1]), t, 4, { 0 }, 4)
  local image = aid.sixel(lines_of(text(core.full({ 1, 50, 100 }, 255, "u8"), "sixel", { width = 5 }))[1])
  lu.assertEquals({ image.width, image.height }, { 40, 20 })
  lu.assertEquals(image.rows[20][40], { 255, 255, 255 })
  terminal.cell = function() return 5, 11 end
  image = aid.kitty(lines_of(text(random_picture(1, 3, 4), "kitty", { scale = 0.5 }))[1])
  lu.assertEquals({ image.width, image.height, image.columns, image.lines }, { 10, 11, 2, 1 })
end

-- At most 256 colours for sixel, whatever is shown; all that there are for kitty.
function TestPictureGraphics.testColours()
  local colours = random_picture(3, 40, 40):reshape(1, 3, 40, 40)
  local image = aid.sixel(lines_of(text(colours, "sixel"))[1])
  lu.assertTrue(image.colors > 100 and image.colors <= 216)
  image = aid.kitty(lines_of(text(colours, "kitty"))[1])
  lu.assertEquals(image.rows[9][9], { colours[1][1][2][2], colours[1][2][2][2], colours[1][3][2][2] })
  image = aid.sixel(lines_of(text(core.randn(40, 40), "sixel", { signed = true }))[1])
  lu.assertTrue(image.colors > 30 and image.colors <= 63)
  image = aid.sixel(lines_of(text(core.rand(1, 3, 40, 40) - 0.5, "sixel", { signed = true }))[1])
  lu.assertTrue(image.colors > 100 and image.colors <= 216)
  image = aid.sixel(lines_of(text(core.tensor { { 0 / 0, 1, 2 } }, "sixel"))[1])
  lu.assertEquals(image.rows[1][1], { 255, 0, 255 })
end

-- Many sizes of characters and pictures: what is encoded is what can be drawn, and it is as large as it says.
function TestPictureGraphics.testManySizes()
  for width = 1, 13, 3 do
    for columns = 1, 9, 2 do
      local t = random_picture(2, 6, width)
      local pictures = {}
      for i = 1, 2 do
        local values = t[i]:reshape(-1):totable()
        for j, v in ipairs(values) do values[j] = v / 255 end
        pictures[i] = { w = width, h = 6, values }
      end
      local s = strip.new(pictures, columns, 1, 7, 13, false, false)
      local image = aid.kitty(kitty.encode(s))
      lu.assertEquals({ image.width, image.columns }, { 7 * (2 * columns + 1), 2 * columns + 1 })
      local other = aid.sixel(sixel.encode(s))
      for y = 1, other.height do
        for x = 1, other.width do
          local a, b = image.rows[y][x], other.rows[y][x]
          lu.assertEquals(a and true, b and true)
          if a then lu.assertAlmostEquals(a[1], b[1], 2) end
        end
      end
    end
  end
end

-- Never where nobody asked for escape codes, or where they are off.
function TestPictureGraphics.testOnlyWhereItMayBe()
  local t = random_picture(1, 8, 8)
  for _, mode in ipairs { "sixel", "kitty", "best", "auto" } do
    lu.assertNotStrContains(picture.text(t, { mode = mode }), "\27")
    lu.assertNotStrContains(picture.text(t, { mode = mode, color = false }), "\27")
  end
  lu.assertNil(terminal.graphics())
end
