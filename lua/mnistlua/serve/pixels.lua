-- Pixels that the page sends, one byte each: as tensors, and pictures of any size made into what MNIST's are.
local answer = require "mnistlua.serve.answer"
local core = require "mnistlua.core"

local m = {}

local largest = 1024    -- pixels of a side
local slice = 4096      -- bytes that become numbers at a time: they go over Lua's stack

--- The bytes as a u8 tensor of this shape, which has as many elements.
function m.tensor(bytes, shape)
  local values = {}
  for i = 1, #bytes, slice do table.move({ bytes:byte(i, i + slice - 1) }, 1, slice, i, values) end
  return core.tensor(values, "u8"):reshape(table.unpack(shape))
end

--- A grey picture, 0 black to 255 white, prepared as MNIST's were: { pixels = 784 numbers, 0 paper to 255 ink }.
--- Refuses the request if there is nothing in it.
function m.prepare(width, height, bytes)
  if not width or not height or width < 1 or height < 1 or width > largest or height > largest then
    answer.fail(400, ("expected width and height from 1 to %d"):format(largest))
  elseif #bytes ~= width * height then
    answer.fail(400, ("expected %d bytes, a picture of %dx%d, got %d"):format(width * height, width, height, #bytes))
  end
  local digit, problem = core.prepare_digit(m.tensor(bytes, { height, width }))
  if not digit then answer.fail(422, problem) end
  return { pixels = digit:reshape(-1):totable() }
end

return m
