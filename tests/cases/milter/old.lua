-- A mail server of 2003: version 2, every command answered, no leading space, the end of the body with a chunk.

function fail(text) error(text, 2) end

function answered(what)
  if mt.getreply(conn) ~= SMFIR_CONTINUE then fail(what .. " was not answered") end
end

conn = mt.connect(socket)
if conn == nil then fail("connect") end
if mt.negotiate(conn, 2, 63, 127) ~= nil then fail("negotiation") end
if mt.conninfo(conn, "localhost", "127.0.0.1") ~= nil then fail("client") end
answered("connect")
if mt.helo(conn, "localhost") ~= nil then fail("HELO") end
answered("HELO")
for round = 1, 2 do
  if mt.mailfrom(conn, "<a@example.net>") ~= nil then fail("MAIL") end
  answered("MAIL")
  if mt.rcptto(conn, "<accept@example.org>") ~= nil then fail("RCPT") end
  answered("RCPT")
  if mt.header(conn, "Subject", "folded\n\tsubject") ~= nil then fail("Subject") end
  answered("header")
  if mt.eoh(conn) ~= nil then fail("end of header") end
  answered("end of header")
  if mt.bodystring(conn, "body\r\n") ~= nil then fail("body") end
  answered("body")
  if mt.eom(conn) ~= nil then fail("end of message") end
  answered("message")
  if not mt.eom_check(conn, MT_HDRINSERT, "X-Filterd-Id") then fail("no X-Filterd-Id") end
end
mt.disconnect(conn)
