-- What becomes of one message (`file`) for its recipients (`recipients`, with spaces between), as Sendmail's library
-- sees it: a word for each recipient is printed, or "later" for all when the filter went away.

function word(conn, recipient)
  local reply = mt.getreply(conn)
  if reply == SMFIR_REPLYCODE then return "refused" end
  if reply == SMFIR_DISCARD or mt.eom_check(conn, MT_RCPTDELETE, "<" .. recipient .. ">") then return "held" end
  if reply ~= SMFIR_CONTINUE then return "later" end
  return mt.eom_check(conn, MT_HDRINSERT, "X-Spam-Flag", " YES") and "marked" or "clean"
end

conn = mt.connect(socket)
mt.conninfo(conn, "client.example.net", "127.0.0.2")
mt.helo(conn, "client.example.net")
mt.mailfrom(conn, "<ann@example.net>")
for recipient in string.gmatch(recipients, "%S+") do mt.rcptto(conn, "<" .. recipient .. ">") end

local opened = io.open(file, "rb")
local head, body = string.match(opened:read("*a"), "^(.-\r\n)\r\n(.*)$")
opened:close()
for name, value in string.gmatch(string.gsub(head, "\r\n([ \t])", "\n%1"), "([^:\r]+):([^\r]*)\r\n") do
  mt.header(conn, name, value)
end
mt.eoh(conn)
mt.bodystring(conn, body)
local gone = mt.eom(conn) ~= nil
for recipient in string.gmatch(recipients, "%S+") do print(gone and "later" or word(conn, recipient)) end
mt.disconnect(conn)
