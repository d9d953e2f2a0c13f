"""The spamd door: SpamAssassin's spamd protocol, and the line protocol that Exim speaks with `variant=rspamd`.

It only advises: the program that asks acts on the answer, and nothing is held here. The listener is
`filterd.frontends.spamd.door.SpamdDoor`.
"""
