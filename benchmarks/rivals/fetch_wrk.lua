-- wrk asks for one result after another; the requests are written before it begins.
local requests, next_one = {}, 0

function init(arguments)
  for number = 0, tonumber(arguments[1]) - 1 do
    local path = string.format("/v1/batches/batch_1/row-%06d", number)
    requests[number] = wrk.format("GET", path, {Authorization = "Bearer sk-benchmark"})
  end
end

function request()
  local one = requests[next_one]
  next_one = next_one + 1
  if requests[next_one] == nil then next_one = 0 end
  return one
end
