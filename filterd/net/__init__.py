"""The doors to the outside world, as probes get them. Async; nothing here knows what a mail is."""

from filterd.net.dns import Answer, Dns, DnsSettings
from filterd.net.wire import Kind

__all__ = ["Answer", "Dns", "DnsSettings", "Kind"]
