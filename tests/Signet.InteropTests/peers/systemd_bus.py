"""Answers on the message bus at the Unix socket PATH as systemd does of one unit: its Id and its FragmentPath. Prints "ready".

usage: systemd_bus.py PATH UNIT FRAGMENT
"""

import sys

import dbus
import dbus.bus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

PATH, UNIT, FRAGMENT = sys.argv[1:4]
NAME = "org.freedesktop.systemd1"


class Unit(dbus.service.Object):
    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        assert interface == NAME + ".Unit", interface
        return {"Id": UNIT, "FragmentPath": FRAGMENT}[name]


DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection("unix:path=" + PATH)
bus.request_name(NAME)
escaped = "".join(c if c.isascii() and c.isalnum() else "_%02x" % ord(c) for c in UNIT)
unit = Unit(bus, "/org/freedesktop/systemd1/unit/" + escaped)
print("ready", flush=True)
GLib.MainLoop().run()
