-- picture.text: what is drawn, read back by decoders of the test's own; sizes, grids, ranges, mistakes.
local aid = require "picture_aid"
local core = require "mnistlua.core"
local lu = require "luaunit"
local picture = require "mnistlua.picture"

TestPicture = {}

-- A picture with a different value at every pixel.
local function slope(h, w, dtype)
  local rows = {}
  for y = 1, h do
    rows[y] = {}
    for x = 1, w do rows[y][x] = (y * 37 + x * 11) % 256 end
  end
  return core.tensor(rows, dtype or "u8"), rows
end

local function text(t, options)
  options.width = options.width or 80
  return picture.text(t, options)
end

function TestPicture.testHalfBlocksAreThePixels()
  for _, size in ipairs { { 4, 6 }, { 5, 3 }, { 1, 1 }, { 28, 28 } } do
    local t, rows = slope(size[1], size[2])
    local found = aid.half_pixels(text(t, { mode = "half", color = true }))
    for y = 1, size[1] do
      lu.assertEquals(#found[y], size[2])
      for x = 1, size[2] do lu.assertTrue(math.abs(found[y][x][1] - rows[y][x]) <= 9) end
    end
    if size[1] % 2 == 1 then lu.assertFalse(found[size[1] + 1][1]) end
  end
end

function TestPicture.testBraille()
  local t = core.zeros({ 4, 4 }, "u8")
  t[1][1], t[2][4], t[4][2] = 255, 255, 255
  lu.assertEquals(text(t, { mode = "braille", scale = 0.5 }), "⢁⠐\n")
  local dots = aid.braille_dots(text(t, { mode = "braille" }), 4)
  lu.assertEquals(#dots, 8)
  for y = 1, 8 do
    for x = 1, 8 do
      local value = t[(y + 1) // 2][(x + 1) // 2]
      lu.assertEquals(dots[y][x], value == 255, y .. "," .. x)
    end
  end
end

-- As many dots as the picture is bright.
function TestPicture.testBrailleDithers()
  for _, level in ipairs { 0, 40, 128, 200, 255 } do
    local lit = 0
    for _, row in ipairs(aid.braille_dots(text(core.full({ 20, 20 }, level, "u8"), { mode = "braille" }), 20)) do
      for _, on in ipairs(row) do lit = lit + (on and 1 or 0) end
    end
    lu.assertAlmostEquals(lit / 1600, level / 255, 0.03)
  end
end

function TestPicture.testAscii()
  local t = core.tensor({ { 0, 128, 255 }, { 0, 128, 255 }, { 255, 0, 0 }, { 255, 0, 0 } }, "u8")
  lu.assertEquals(text(t, { mode = "ascii" }), " +@\n@\n")
end

function TestPicture.testRanges()
  local t = core.tensor { { -2, 0 }, { 2, 6 } }
  lu.assertEquals(text(t:reshape(1, 4), { mode = "ascii" }), " :+@\n")
  lu.assertEquals(text(t:reshape(1, 4), { mode = "ascii", range = { 0, 2 } }), "  @@\n")
  lu.assertEquals(text(t:reshape(1, 4), { mode = "ascii", signed = true }), "- :@\n")
  lu.assertEquals(text(core.tensor { { 0 / 0, 1, 2, 1 / 0 } }, { mode = "ascii" }), "? @@\n")
  lu.assertEquals(text(core.full({ 1, 3 }, 7), { mode = "ascii" }), "\n")
end

-- The sign is a colour: red above zero, blue below, black at it.
function TestPicture.testSigned()
  local pixels = aid.half_pixels(text(core.tensor { { -1, -0.5, 0, 0.5, 1 } },
    { mode = "half", color = true, signed = true }))[1]
  lu.assertTrue(pixels[1][3] > pixels[1][1] and pixels[2][3] > pixels[2][1])
  lu.assertEquals(pixels[3], { 0, 0, 0 })
  lu.assertTrue(pixels[4][1] > pixels[4][3] and pixels[5][1] > pixels[5][3])
end

function TestPicture.testColours()
  local t = core.tensor({ { { { 255, 0 } }, { { 0, 255 } }, { { 0, 0 } } } }, "u8")
  lu.assertEquals(aid.half_pixels(text(t, { mode = "half", color = true }))[1], { { 255, 0, 0 }, { 0, 255, 0 } })
  lu.assertEquals(text(t, { mode = "ascii", scale = 2 }), "--++\n")
  local weights = core.tensor { { { { -1, 1 } }, { { 0, 0 } }, { { 1, 0 } } } }
  lu.assertEquals(aid.half_pixels(text(weights, { mode = "half", color = true, signed = true }))[1],
    { { 0, 135, 255 }, { 255, 135, 135 } })
end

function TestPicture.testGrid()
  local t = core.zeros({ 3, 2, 4 }, "u8")
  for i = 1, 3 do t[i]:fill_(i == 2 and 255 or 128) end
  lu.assertEquals(text(t, { mode = "ascii" }), "++++ @@@@ ++++\n")
  lu.assertEquals(text(t, { mode = "ascii", columns = 2, titles = { "a", 7 } }), "a    7\n++++ @@@@\n\n++++\n")
  lu.assertEquals(text(t, { mode = "ascii", width = 9 }), "++++ @@@@\n\n++++\n")
  lu.assertEquals(text(t, { mode = "ascii", width = 3 }), "+++\n\n@@@\n\n+++\n")
  lu.assertEquals(text(t, { mode = "ascii", columns = 3, width = 4 }), "++++\n\n@@@@\n\n++++\n")
  lu.assertEquals(text(core.zeros({ 1, 1, 2, 2 }, "u8"), { mode = "ascii" }), "\n")
end

-- More beside each other than there is room for: smaller, down to nine columns; never wider than asked for.
function TestPicture.testSmallerPictures()
  local t = core.full({ 8, 28, 28 }, 255, "u8")
  local lines = aid.cells(text(t, { mode = "ascii", columns = 8 }))
  lu.assertEquals({ #lines, #lines[1] }, { 5, 8 * 9 + 7 })
  for width = 1, 60 do
    for _, line in ipairs(aid.cells(text(t, { mode = "ascii", columns = 8, width = width }))) do
      lu.assertTrue(#line <= width)
    end
  end
end

-- Resizing keeps the mean of the light, and a picture larger than any terminal is reduced before it is read.
function TestPicture.testLargePictures()
  local t = core.rand(300, 400)
  local sum, count = 0, 0
  for _, row in ipairs(aid.half_pixels(text(t, { mode = "half", color = true, width = 20, range = { 0, 1 } }))) do
    for _, pixel in ipairs(row) do
      if pixel then sum, count = sum + (pixel[1] / 255) ^ 2.2, count + 1 end
    end
  end
  lu.assertEquals(count, 20 * 15)
  lu.assertAlmostEquals(sum / count, t:pow(2.2):mean():item(), 0.03)
  lu.assertEquals(text(core.full({ 3000, 2000 }, 255, "u8"), { mode = "ascii", width = 4 }), "@@@@\n@@@@\n@@@@\n")
end

function TestPicture.testTitlesAreEscapedAndCut()
  local out = text(core.zeros({ 2, 12 }, "u8"), { mode = "ascii", titles = { "\27[2Jboat, Schiff" } })
  lu.assertEquals(out:match "^[^\n]*", "\\x1b[2Jbo...")
end

-- Nothing that a script holds is changed, and nothing is recorded for gradients.
function TestPicture.testLeavesTheTensorAlone()
  local t = core.tensor { { 1, 2 }, { 3, 4 } }
  t:requires_grad_()
  local recorded = t * 2
  text(recorded, { mode = "ascii", signed = true })
  recorded:sum():backward()
  lu.assertEquals(recorded:totable(), { { 2, 4 }, { 6, 8 } })
  lu.assertEquals(t.grad:totable(), { { 2, 2 }, { 2, 2 } })
end

-- Without a terminal there are no escape codes unless they are asked for.
function TestPicture.testPipedIsPlain()
  lu.assertNotStrContains(picture.text((slope(8, 8))), "\27")
  lu.assertNotStrContains(text((slope(8, 8)), { mode = "half" }), "\27")
  lu.assertNotStrContains(text((slope(8, 8)), { color = false, mode = "half" }), "\27")
  lu.assertStrContains(text((slope(8, 8)), { color = true, mode = "half" }), "\27[")
end

function TestPicture.testMistakes()
  local cases = {
    { core.zeros(4), {}, "expected a tensor %[h, w%], .* got 4$" },
    { core.zeros(2, 5, 4, 4), {}, "got 2x5x4x4$" },
    { "x", {}, "expected a tensor, got 'x'" },
    { core.zeros(2, 2), { mode = "kity" }, "mode is 'kity'; expected one of" },
    { core.zeros(2, 2), { colour = true }, "unknown option 'colour'; did you mean 'color'" },
    { core.zeros(2, 2), { range = { 1, 1 } }, "low below high" },
    { core.zeros(2, 2), { range = { 0 / 0, 1 } }, "low below high" },
    { core.zeros(2, 2), { columns = 0 }, "columns" },
  }
  for _, case in ipairs(cases) do
    local ok, problem = pcall(picture.text, case[1], case[2])
    lu.assertFalse(ok)
    lu.assertNotNil(problem:find(case[3]), problem)
  end
end
