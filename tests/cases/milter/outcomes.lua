-- What becomes of one message for several recipients, as Sendmail's side sees it.
-- The filter does what the recipient's name says: accept, tag, quarantine, discard, defer, reject.

function fail(text) error(text, 2) end

function message(conn, ...)
  if mt.macro(conn, SMFIC_MAIL, "i", "8ABC") ~= nil then fail("macro") end
  if mt.mailfrom(conn, "<a@example.net>", "SIZE=100") ~= nil then fail("MAIL") end
  if mt.getreply(conn) ~= SMFIR_CONTINUE then fail("MAIL was refused") end
  for _, name in ipairs({...}) do
    if mt.rcptto(conn, "<" .. name .. "@example.org>") ~= nil then fail("RCPT") end
    if mt.getreply(conn) ~= SMFIR_CONTINUE then fail("RCPT was refused") end
  end
  if mt.header(conn, "From", " a@example.net") ~= nil then fail("From") end
  if mt.header(conn, "X-Spam-Flag", " NO") ~= nil then fail("X-Spam-Flag") end
  if mt.header(conn, "Subject", " folded\n\tsubject") ~= nil then fail("Subject") end
  if mt.eoh(conn) ~= nil then fail("end of header") end
  if mt.bodystring(conn, "body\r\n") ~= nil then fail("body") end
  if mt.eom(conn) ~= nil then fail("end of message") end
  return mt.getreply(conn)
end

conn = mt.connect(socket)
if conn == nil then fail("connect") end
if mt.conninfo(conn, "client.example.net", "192.0.2.7") ~= nil then fail("client") end
if mt.getreply(conn) ~= SMFIR_CONTINUE then fail("the client was refused") end
if mt.helo(conn, "client.example.net") ~= nil then fail("HELO") end
if not mt.test_option(conn, SMFIP_NR_BODY) then fail("body chunks are answered") end
if not mt.test_option(conn, SMFIP_HDR_LEADSPC) then fail("leading space is lost") end
if not mt.test_action(conn, SMFIF_DELRCPT) then fail("recipients are not deleted") end

if message(conn, "accept") ~= SMFIR_CONTINUE then fail("accept") end
if not mt.eom_check(conn, MT_HDRINSERT, "X-Filterd-Id") then fail("no X-Filterd-Id") end
if not mt.eom_check(conn, MT_HDRDELETE, "X-Spam-Flag") then fail("a forged verdict stays") end
if mt.eom_check(conn, MT_HDRINSERT, "X-Spam-Flag") then fail("tagged") end

if message(conn, "tag", "accept") ~= SMFIR_CONTINUE then fail("tag") end
if not mt.eom_check(conn, MT_HDRINSERT, "X-Spam-Flag", " YES") then fail("not tagged") end

if message(conn, "accept", "quarantine", "discard", "reject", "defer") ~= SMFIR_CONTINUE then fail("mixed") end
for _, name in ipairs({"quarantine", "discard", "reject", "defer"}) do
  if not mt.eom_check(conn, MT_RCPTDELETE, "<" .. name .. "@example.org>") then fail(name .. " stays") end
end
if mt.eom_check(conn, MT_RCPTDELETE, "<accept@example.org>") then fail("accept is deleted") end

if message(conn, "quarantine") ~= SMFIR_DISCARD then fail("quarantine") end
if message(conn, "discard") ~= SMFIR_DISCARD then fail("discard") end

if message(conn, "reject") ~= SMFIR_REPLYCODE then fail("reject") end
if message(conn, "defer") ~= SMFIR_REPLYCODE then fail("defer") end

if mt.mailfrom(conn, "<gone@example.net>") ~= nil then fail("MAIL") end
if mt.abort(conn) ~= nil then fail("abort") end
if message(conn, "accept") ~= SMFIR_CONTINUE then fail("after abort") end
mt.disconnect(conn)
