"""The milter door: beside Postfix or Sendmail, which ask about each message and act on the answer.

The mail server keeps the message and the responsibility for it. What it is told to refuse, to delete a
recipient of or to drop is in the quarantine before it is told, or is refused to the sender's face.

The listener is `filterd.frontends.milter.server.MilterServer`.
"""
