-- Lets one user of Orthanc read and search, and change nothing. For the user with which dicom-dispatch reads a source:
--   "LuaScripts": ["/etc/orthanc/read-only-user.lua"]
-- Tested with Orthanc 1.10 and what dicom-dispatch asks of a source. Other users are not limited by it.
local readOnlyUser = 'dispatch'

-- What is sent with POST and yet only reads: searches, many at once, and a changed copy of an instance as the answer.
local reading = {
  '^/tools/find$',
  '^/tools/lookup$',
  '^/tools/bulk%-content$',
  '^/tools/count%-resources$',
  '^/instances/[0-9a-f-]+/modify$',
  '^/instances/[0-9a-f-]+/anonymize$',
}

function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  if username ~= readOnlyUser or method == 'GET' or method == 'HEAD' then
    return true
  end
  if method == 'POST' then
    for _, pattern in ipairs(reading) do
      if string.match(uri, pattern) then return true end
    end
  end
  return false
end
