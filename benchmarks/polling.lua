-- Readers for wrk: each request asks for one of many feeds and says which version of it the reader has.
--
-- The arguments after `--`: a Lua file that returns {{address, etag}, ...}; `learn` to keep the new ETag of a feed that has
-- changed, as readers do; and one request in how many comes from a reader that has nothing yet (0: none).

local feeds, requests, places = {}, {}, {}
local newcomers = 0
local agents = {
  "wrk",
  "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)",
  "Mozilla/5.0 (compatible; NewsBlur; 7 subscribers; +http://www.newsblur.com)",
}

local thread
function setup(only)
  thread = only
end

local function prepare(place)
  local headers = { ["Accept-Encoding"] = "gzip", ["User-Agent"] = agents[place % #agents + 1] }
  headers["If-None-Match"] = feeds[place][2]
  requests[place] = wrk.format("GET", feeds[place][1], headers)
end

function init(args)
  feeds = dofile(args[1])
  if args[2] == "learn" then response = learn end
  newcomers = tonumber(args[3]) or 0
  math.randomseed(1)
  for place, feed in ipairs(feeds) do
    places[feed[1]] = place
    prepare(place)
  end
end

function request()
  local place = math.random(#feeds)
  if newcomers > 0 and math.random(newcomers) == 1 then
    return wrk.format("GET", feeds[place][1], { ["Accept-Encoding"] = "gzip", ["User-Agent"] = agents[1] })
  end
  return requests[place]
end

-- A document says in its Link header which address it is of. Counts are global for `thread:get`.
unchanged, changed = 0, 0
function learn(status, headers, body)
  if status == 304 then unchanged = unchanged + 1 end
  if status ~= 200 then return end
  local link = headers["link"] or headers["Link"] or ""
  local address = link:match('<https?://[^/>]+(/[^>]*)>; rel="self"')
  local place = places[address]
  if not place then return end
  local etag = headers["etag"] or headers["ETag"]
  if etag ~= feeds[place][2] then
    feeds[place][2] = etag
    changed = changed + 1
    prepare(place)
  end
end


function done(summary, latency, _requests)
  local e = summary.errors
  local found = {
    requests = summary.requests, seconds = summary.duration / 1e6, status = e.status,
    socket = e.connect + e.read + e.write + e.timeout, unchanged = thread:get("unchanged"), changed = thread:get("changed"),
    p50 = latency:percentile(50), p99 = latency:percentile(99), max = latency.max,
  }
  local pairs_of = {}
  for name, value in pairs(found) do table.insert(pairs_of, string.format('"%s": %.6f', name, value)) end
  io.write("\nresult {" .. table.concat(pairs_of, ", ") .. "}\n")
end
